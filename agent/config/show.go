package config

import (
	_ "embed"
	"slices"

	"github.com/goccy/go-yaml"
)

//go:embed fieldpost.yaml
var example []byte

// Init returns a commented configuration to start from. It is valid as it is.
func Init() []byte { return slices.Clone(example) }

// Show returns the configuration that is in effect, defaults and overrides
// included, as YAML. A secret that came from a file is left out beside the
// file's name; any other is masked.
func (c *Config) Show() []byte {
	shown := *c
	for _, s := range secretsOf(&shown) {
		if *s.file != "" {
			*s.value = ""
		}
	}
	text, err := yaml.Marshal(&shown)
	if err != nil {
		panic("config: the configuration can't be written as YAML: " + err.Error()) // all of its types can
	}
	return text
}
