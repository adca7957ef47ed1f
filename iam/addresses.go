package iam

import (
	"fmt"
	"net/netip"
	"syscall"
)

// globalUnicast6 is all of IPv6 that is assigned for the internet. The rest has
// special purposes: loopback, mapped and translated IPv4, unique local,
// link-local and site-local networks, multicast, segment routing.
// Source: https://www.iana.org/assignments/ipv6-unicast-address-assignments
var globalUnicast6 = netip.MustParsePrefix("2000::/3")

// specialNetworks are the networks of IPv4 and of globalUnicast6 that cannot
// hold a server on the internet. Anycast addresses of protocols are among them,
// although they are reachable.
// Sources:
// https://www.iana.org/assignments/iana-ipv4-special-registry
// https://www.iana.org/assignments/iana-ipv6-special-registry
var specialNetworks = networks(
	"0.0.0.0/8",         // this network; RFC 791
	"10.0.0.0/8",        // private; RFC 1918
	"100.64.0.0/10",     // shared by access providers; RFC 6598
	"127.0.0.0/8",       // loopback; RFC 1122
	"168.63.129.16/32",  // the host of a virtual machine in Azure; Microsoft's "What is IP address 168.63.129.16?"
	"169.254.0.0/16",    // link-local, clouds' metadata; RFC 3927
	"172.16.0.0/12",     // private; RFC 1918
	"192.0.0.0/24",      // protocol assignments, clouds' metadata; RFC 6890
	"192.0.2.0/24",      // documentation; RFC 5737
	"192.31.196.0/24",   // AS112; RFC 7535
	"192.52.193.0/24",   // multicast tunnels; RFC 7450
	"192.88.99.0/24",    // relays of 6to4; RFC 7526
	"192.168.0.0/16",    // private; RFC 1918
	"192.175.48.0/24",   // AS112; RFC 7534
	"198.18.0.0/15",     // benchmarks; RFC 2544
	"198.51.100.0/24",   // documentation; RFC 5737
	"203.0.113.0/24",    // documentation; RFC 5737
	"224.0.0.0/4",       // multicast; RFC 5771
	"240.0.0.0/4",       // reserved, broadcast; RFC 1112, RFC 8190
	"2001::/23",         // protocol assignments: Teredo, benchmarks, ORCHID, drones; RFC 2928
	"2001:db8::/32",     // documentation; RFC 3849
	"2002::/16",         // 6to4, which contains an IPv4 address; RFC 3056
	"2620:4f:8000::/48", // AS112; RFC 7534
	"3ffe::/16",         // the former 6bone; RFC 3701
	"3fff::/20",         // documentation; RFC 9637
)

// networks parses prefixes that are constants, and panics for a malformed one.
func networks(texts ...string) (all []netip.Prefix) {
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

// isPublic reports whether an address is on the internet, so that a connection
// to it reaches nothing that only this machine or its networks can see. IPv4
// mapped into IPv6 counts as the IPv4 address. IPv4 in another form of IPv6 is
// never public, because a translator may be inside.
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	// A zone means a link of this machine.
	if !a.IsValid() || a.Zone() != "" || a.Is6() && !globalUnicast6.Contains(a) {
		return false
	}
	for _, n := range specialNetworks {
		if n.Contains(a) {
			return false
		}
	}
	return true
}

// refusePrivate checks the address of a connection after names were resolved,
// so that a name cannot lead inside.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !isPublic(a.Addr()) {
		return fmt.Errorf("%s is not a public address", a.Addr())
	}
	return nil
}
