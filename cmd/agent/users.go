package main

import "github.com/fieldpost/fieldpost/agent/source"

// localUsers reads the users of the local MQTT listener; no file means no login.
func localUsers(file string) (*source.Users, error) {
	if file == "" {
		return nil, nil
	}
	users, err := source.LoadUsers(file)
	if err != nil {
		return nil, &exitError{exitConfig, err}
	}
	return users, nil
}
