package main

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// publish is this program within a namespace: Paho, used plainly. It connects, says "ready", and publishes for each line that it reads,
// which says how many (0: all it has) and how long to wait after each. It says "done" and how many when all are acknowledged.
func publish(args []string) error {
	flags := flag.NewFlagSet("publish", flag.ContinueOnError)
	url := flags.String("url", "", "broker")
	ca := flags.String("ca", "", "certificate to trust")
	keepalive := flags.Duration("keepalive", 9*time.Minute, "keepalive")
	payloads := flags.String("payloads", "", "empty: random bytes; digits: random hexadecimal digits; else a file of readings")
	if err := flags.Parse(args); err != nil {
		return err
	}
	next, n, err := readings(*payloads)
	if err != nil {
		return err
	}
	options := mqtt.NewClientOptions().AddBroker(*url).SetClientID("dev-00042").SetKeepAlive(*keepalive).SetCleanSession(false)
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
		var wanted int
		var pause time.Duration
		if _, err := fmt.Sscan(in.Text(), &wanted, (*int64)(&pause)); err != nil {
			return err
		}
		wanted = cmp.Or(wanted, n)
		var tokens []mqtt.Token
		for range wanted {
			r := next()
			tokens = append(tokens, client.Publish(r.Topic, 1, false, r.Payload))
			time.Sleep(pause)
		}
		for _, t := range tokens {
			if t.Wait(); t.Error() != nil {
				return t.Error()
			}
		}
		fmt.Println("done", wanted)
	}
	return nil
}

// reading is one of those that are published.
type reading struct {
	Topic   string `json:"topic"`
	Payload string `json:"payload_text"`
}

// readings returns what makes them, and how many there are in the file.
func readings(from string) (next func() reading, n int, err error) {
	const topic, payload = "v1/fleet/dev-00042/telemetry/5", 100 // 137 bytes as PUBLISH at QoS 1
	random := rand.NewChaCha8([32]byte{7})
	switch from {
	case "":
		return func() reading {
			noise := make([]byte, payload)
			_, _ = random.Read(noise)
			return reading{topic, string(noise)}
		}, 0, nil
	case "digits":
		return func() reading {
			noise := make([]byte, payload/2)
			_, _ = random.Read(noise)
			return reading{topic, hex.EncodeToString(noise)}
		}, 0, nil
	}
	f, err := os.Open(from)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	var list []reading
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r reading
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", from, err)
		}
		list = append(list, r)
	}
	at := -1
	return func() reading {
		at++
		return list[at%len(list)]
	}, len(list), nil
}
