package main

import (
	"net"
	"os"
)

// notifySystemd tells the service manager of a state such as READY=1. It does
// nothing if the manager does not ask for it (Type=notify).
// Source: sd_notify(3).
func notifySystemd(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}
