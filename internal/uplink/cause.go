package uplink

import (
	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/mqttconn"
)

// causeOf translates the causes of gsmnet and mqttconn into the agent's. The module's word comes first: an MQTT session
// that ended because the network let go of the module is the network's matter.
func causeOf(err error) agent.Cause {
	if c, ok := modemCauses[gsmnet.CauseOf(err)]; ok {
		return c
	}
	if c, ok := mqttCauses[mqttconn.CauseOf(err)]; ok {
		return c
	}
	return agent.CauseUnknown
}

var modemCauses = map[gsmnet.Cause]agent.Cause{
	gsmnet.CausePort:      agent.CausePort,
	gsmnet.CausePower:     agent.CausePower,
	gsmnet.CauseSIM:       agent.CauseSIM,
	gsmnet.CausePIN:       agent.CausePIN,
	gsmnet.CauseSearching: agent.CauseSearching,
	gsmnet.CauseDenied:    agent.CauseDenied,
	gsmnet.CauseRoaming:   agent.CauseDenied,
	gsmnet.CauseContext:   agent.CauseContext,
	gsmnet.CauseLink:      agent.CauseTCP,
	gsmnet.CauseClosed:    agent.CauseTCP,
	gsmnet.CauseProtocol:  agent.CauseTCP,
	gsmnet.CauseAttach:    agent.CauseAttach,
	gsmnet.CauseAPN:       agent.CauseAPN,
	gsmnet.CauseDNS:       agent.CauseDNS,
	gsmnet.CauseTCP:       agent.CauseTCP,
}

var mqttCauses = map[mqttconn.Cause]agent.Cause{
	mqttconn.CauseDNS:         agent.CauseDNS,
	mqttconn.CauseRefused:     agent.CauseTCP,
	mqttconn.CauseTimeout:     agent.CauseMQTT,
	mqttconn.CauseTLS:         agent.CauseTLS,
	mqttconn.CauseCertificate: agent.CauseTLS,
	mqttconn.CauseCredentials: agent.CauseCredentials,
	mqttconn.CauseIdentifier:  agent.CauseCredentials,
	mqttconn.CauseUnavailable: agent.CauseMQTT,
	mqttconn.CauseProtocol:    agent.CauseMQTT,
	mqttconn.CauseUnanswered:  agent.CauseMQTT,
	mqttconn.CauseSilent:      agent.CauseMQTT,
	mqttconn.CauseConfig:      agent.CauseMQTT,
	mqttconn.CauseHungUp:      agent.CauseMQTT,
	mqttconn.CauseNetwork:     agent.CauseTCP,
	mqttconn.CauseOversize:    agent.CauseMQTT,
}
