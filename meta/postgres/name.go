package postgres

import (
	"net"
	"slices"
	"strconv"
	"strings"
)

// Name returns host:port/database of a URL that Open accepts, without user and
// password, for people to read. Several hosts are separated by commas.
func Name(url string) (string, error) {
	config, err := parse(url, Options{}.withDefaults())
	if err != nil {
		return "", err
	}
	c := config.ConnConfig
	hosts := []string{address(c.Host, c.Port)}
	for _, f := range c.Fallbacks { // one for each host and TLS mode
		hosts = append(hosts, address(f.Host, f.Port))
	}
	return strings.Join(slices.Compact(hosts), ",") + "/" + c.Database, nil
}

func address(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
