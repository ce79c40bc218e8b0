package config

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Endpoint is a broker's address, taken apart.
type Endpoint struct {
	TLS  bool
	Host string // a name or an IP address, without brackets
	Port int
}

// Address returns what a dial function takes: "broker.example:1883".
func (e Endpoint) Address() string { return net.JoinHostPort(e.Host, strconv.Itoa(e.Port)) }

// Endpoints returns the broker's addresses in order of preference.
func (b Broker) Endpoints() []Endpoint {
	var all []Endpoint
	for _, text := range b.URL {
		if e, err := parseEndpoint(text); err == nil { // Validate has refused the others
			all = append(all, e)
		}
	}
	return all
}

// The registered ports of MQTT without and with TLS.
const (
	portMQTT  = 1883
	portMQTTS = 8883
)

// maxHost is the length of the longest name in the DNS (RFC 1035, 2.3.4).
const maxHost = 253

func parseEndpoint(text string) (Endpoint, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return Endpoint{}, fmt.Errorf("%q is not the url of a broker: write mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS", redactURL(text))
	}
	e := Endpoint{Host: u.Hostname(), Port: portMQTT}
	switch u.Scheme {
	case "mqtt":
	case "mqtts":
		e.TLS, e.Port = true, portMQTTS
	default:
		return Endpoint{}, fmt.Errorf("the scheme %q is not known: use mqtt:// or, for TLS, mqtts://", u.Scheme)
	}
	switch {
	case u.User != nil:
		return Endpoint{}, fmt.Errorf("user and password don't belong in the url: use broker.username and broker.password_file")
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "":
		return Endpoint{}, fmt.Errorf("%q says more than a host and a port: leave out what follows them", text)
	}
	if err := checkHost(e.Host); err != nil {
		return Endpoint{}, err
	}
	if p := u.Port(); p != "" {
		e.Port, err = strconv.Atoi(p)
		if err != nil || e.Port < 1 || e.Port > 65535 {
			return Endpoint{}, fmt.Errorf("port %s is not between 1 and 65535", p)
		}
	}
	return e, nil
}

// checkHost keeps to what a DNS name or an IP address is made of: the host
// becomes part of an AT command.
func checkHost(host string) error {
	if len(host) > maxHost {
		return fmt.Errorf("the host is %d characters long: a name has at most %d", len(host), maxHost)
	}
	if host == "" {
		return fmt.Errorf("the host is missing: write mqtt://HOST:PORT")
	}
	for _, r := range host {
		if !isAlnum(r) && !strings.ContainsRune("-._:", r) {
			return fmt.Errorf("the host contains %q: use letters, digits, '-' and '.' (an international name in its xn-- form)", r)
		}
	}
	return nil
}

func isAlnum(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
