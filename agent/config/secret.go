package config

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// maxSecret is the longest that MQTT allows a password to be (3.1.3.5).
const maxSecret = 65535

// A secretRef is a secret and the file that it may come from.
type secretRef struct {
	key   string // of the secret; the file's has _file at its end
	value *Secret
	file  *string
}

func secretsOf(c *Config) []secretRef {
	return []secretRef{
		{"modem.password", &c.Modem.Password, &c.Modem.PasswordFile},
		{"modem.pin", &c.Modem.PIN, &c.Modem.PINFile},
		{"broker.password", &c.Broker.Password, &c.Broker.PasswordFile},
		{"sources.http.token", &c.Sources.HTTP.Token, &c.Sources.HTTP.TokenFile},
		{"web.token", &c.Web.Token, &c.Web.TokenFile},
	}
}

// Secrets returns the texts of all secrets that are set, for a program that has to keep them out of what it writes.
func (c *Config) Secrets() (list []string) {
	for _, s := range secretsOf(c) {
		if *s.value != "" {
			list = append(list, s.value.Reveal())
		}
	}
	return list
}

// readSecrets reads the files that the configuration names and checks those
// that others will read.
func (l *loader) readSecrets() {
	c := l.cfg
	for _, s := range secretsOf(c) {
		if *s.file == "" || *s.value != "" { // both: reported already
			continue
		}
		key := s.key + "_file"
		data, p := readPrivate(*s.file)
		if p == nil {
			*s.value = Secret(bytes.TrimRight(data, "\r\n"))
			p = checkSecret(s.key, *s.value)
		}
		if p != nil {
			p.Key = key
			l.report(*p)
		}
	}
	l.checkPrivate("sources.mqtt.users_file", c.Sources.MQTT.UsersFile)
	l.checkPrivate("broker.client_key_file", c.Broker.ClientKeyFile)
	if p := checkCA(c.Broker.CAFile); p != nil {
		p.Key = "broker.ca_file"
		l.report(*p)
	}
}

// checkPrivate looks at a file that others will read.
func (l *loader) checkPrivate(key, file string) {
	if file == "" {
		return
	}
	if _, p := readPrivate(file); p != nil {
		p.Key = key
		l.report(*p)
	}
}

// readPrivate reads a file that must not be readable by everybody.
func readPrivate(path string) ([]byte, *Problem) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileProblem(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, &Problem{Message: path + " is not a file"}
	}
	// Owner may do anything, the group may read (0640), nobody else anything.
	if perm := info.Mode().Perm(); perm&0o037 != 0 {
		return nil, &Problem{
			Message: fmt.Sprintf("%s can be read or changed by others than its owner (its mode is %#o)", path, perm),
			Hint:    fmt.Sprintf("run: chmod 0640 %s", path),
		}
	}
	data, err := readLimited(path, maxSecret)
	if err != nil {
		return nil, fileProblem(path, err)
	}
	return data, nil
}

func fileProblem(path string, err error) *Problem {
	p := &Problem{Message: fmt.Sprintf("can't read %s: %s", path, reason(err))}
	switch {
	case errors.Is(err, os.ErrNotExist):
		p.Hint = "create the file, or remove the key"
	case errors.Is(err, os.ErrPermission):
		p.Hint = "give the file to the group that the agent runs as: chgrp fieldpost " + path
	}
	return p
}

// checkCA says what is wrong with the file of certificates.
func checkCA(path string) *Problem {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return &Problem{Message: path + " is not a file"} // a pipe would be waited for, for ever
	}
	data, err := readLimited(path, maxFile)
	if err != nil {
		return fileProblem(path, err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(data) {
		return &Problem{
			Message: fmt.Sprintf("%s holds no certificate", path),
			Hint:    "it must contain -----BEGIN CERTIFICATE-----; from DER: openssl x509 -inform der -in FILE -out " + path,
		}
	}
	return nil
}
