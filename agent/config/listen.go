package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxMQTTClients keeps the descriptors of local connections below the 512 that
// the service unit allows the agent.
const maxMQTTClients = 256

func (c *Config) checkListeners(k *checker) {
	between(k, "sources.mqtt.max_clients", c.Sources.MQTT.MaxClients, 1, maxMQTTClients)
	checkHosts(k, "sources.http.hosts", c.Sources.HTTP.Hosts)
	checkHosts(k, "web.hosts", c.Web.Hosts)
	taken := make(map[string]string) // address → key
	for _, l := range []struct {
		key, address string
		login        bool   // someone who connects must show a credential
		loginKey     string // how to ask for one
	}{
		{"sources.mqtt.listen", c.Sources.MQTT.Listen, c.Sources.MQTT.UsersFile != "", "sources.mqtt.users_file"},
		{"sources.http.listen", c.Sources.HTTP.Listen, c.Sources.HTTP.Token != "" || c.Sources.HTTP.TokenFile != "", "sources.http.token_file"},
		{"web.listen", c.Web.Listen, c.Web.Token != "" || c.Web.TokenFile != "", "web.token_file"},
	} {
		if l.address == "" {
			continue
		}
		loopback, port, err := parseListen(l.address)
		if err != nil {
			k.fail(l.key, "write HOST:PORT, such as 127.0.0.1:1884, or \"off\"", "%v", err)
			continue
		}
		if !loopback && !l.login {
			k.fail(l.key, fmt.Sprintf("set %s, or listen on 127.0.0.1", l.loginKey),
				"%s can be reached from the network, and anybody could connect", l.address)
		}
		if other, dup := taken[l.address]; dup && port != 0 {
			k.fail(l.key, "give each its own port", "%s is taken by %s", l.address, other)
		}
		taken[l.address] = l.key
	}
}

func checkHosts(k *checker, key string, hosts List) {
	for _, h := range hosts {
		if strings.Contains(h, ":") || checkHost(h) != nil {
			k.fail(key, "", "%.80q is not a name without port, such as pump-07.example", h)
		}
	}
}

// parseListen takes an address to listen on apart. Port 0 lets the system
// choose one.
func parseListen(address string) (loopback bool, port int, err error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return false, 0, fmt.Errorf("%q is not an address to listen on", address)
	}
	port, err = strconv.Atoi(p)
	if err != nil || port < 0 || port > 65535 {
		return false, 0, fmt.Errorf("the port %q is not a number from 1 to 65535", p)
	}
	switch host {
	case "localhost":
		return true, port, nil
	case "":
		return false, port, nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false, 0, fmt.Errorf("%q is not an IP address of this machine", host)
	}
	return ip.IsLoopback(), port, nil
}
