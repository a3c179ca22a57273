// Command probe runs inside a container and says what it sees there.
//
//	probe report           prints a JSON object about the process
//	probe dial HOST:PORT   exits with 0 when it can connect, 3 when not; an
//	                       address where nothing listens is tried for 10 s
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "dial" {
		os.Exit(dial(os.Args[2]))
	}
	dir, _ := os.Getwd()
	host, _ := os.Hostname()
	write := os.WriteFile("/written", nil, 0o644)
	out, _ := json.Marshal(map[string]any{
		"args": os.Args, "dir": dir, "uid": os.Getuid(), "gid": os.Getgid(), "pid": os.Getpid(),
		"host": host, "color": os.Getenv("COLOR"), "writable": write == nil,
	})
	fmt.Println(string(out))
}

func dial(address string) int {
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.DialTimeout("tcp", address, 2*time.Second)
		if err == nil {
			c.Close()
			return 0
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(deadline) {
			fmt.Println(err)
			return 3
		}
	}
}
