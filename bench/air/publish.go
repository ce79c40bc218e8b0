package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// publish is this program within a namespace: Paho, used plainly. It connects, says "ready", and publishes for each line that it reads,
// which says how many and how long to wait after each. It says "done" when all are acknowledged.
func publish(args []string) error {
	flags := flag.NewFlagSet("publish", flag.ContinueOnError)
	url := flags.String("url", "", "broker")
	ca := flags.String("ca", "", "certificate to trust")
	if err := flags.Parse(args); err != nil {
		return err
	}
	options := mqtt.NewClientOptions().AddBroker(*url).SetClientID("dev-00042").SetKeepAlive(10 * time.Minute).SetCleanSession(false)
	if *ca != "" {
		pem, err := os.ReadFile(*ca)
		if err != nil {
			return err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		options.SetTLSConfig(&tls.Config{RootCAs: pool})
	}
	client := mqtt.NewClient(options)
	if token := client.Connect(); token.Wait() && token.Error() != nil {
		return token.Error()
	}
	defer client.Disconnect(100)
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var n int
		var pause time.Duration
		if _, err := fmt.Sscan(in.Text(), &n, (*int64)(&pause)); err != nil {
			return err
		}
		var tokens []mqtt.Token
		for range n {
			tokens = append(tokens, client.Publish(topic, 1, false, strings.Repeat("7", 100)))
			time.Sleep(pause)
		}
		for _, t := range tokens {
			if t.Wait(); t.Error() != nil {
				return t.Error()
			}
		}
		fmt.Println("done")
	}
	return nil
}

// topic has 30 bytes.
const topic = "v1/fleet/dev-00042/telemetry/5"
