// Command probe is what the tests run in containers. Its arguments are done in
// order.
package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	for _, arg := range os.Args[1:] {
		verb, value, _ := strings.Cut(arg, "=")
		do(verb, value)
	}
}

func do(verb, value string) {
	n, _ := strconv.Atoi(value)
	switch verb {
	case "out":
		fmt.Println(value)
	case "err":
		fmt.Fprintln(os.Stderr, value)
	case "long":
		fmt.Println(strings.Repeat("x", n))
	case "unfinished":
		fmt.Print(value)
	case "env":
		fmt.Println(os.Getenv(value))
	case "id":
		host, _ := os.Hostname()
		dir, _ := os.Getwd()
		fmt.Println(host, dir, os.Getuid())
	case "cat":
		b, err := os.ReadFile(value)
		fmt.Println(string(b), err)
	case "keys": // how many keys the SSH agent has (its protocol: 11 asks, 12 answers)
		c, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
		if err != nil {
			fmt.Println(err)
			return
		}
		answer := make([]byte, 9)
		c.Write([]byte{0, 0, 0, 1, 11})
		_, err = io.ReadFull(c, answer)
		fmt.Println("keys", answer[8], err)
	case "write":
		if err := os.WriteFile(value, nil, 0o644); err != nil {
			fmt.Println(err)
		}
	case "fill": // path:MiB, of bytes that cannot be compressed
		path, size, _ := strings.Cut(value, ":")
		n, _ := strconv.Atoi(size)
		f, err := os.Create(path)
		if err == nil {
			_, err = io.CopyN(f, rand.Reader, int64(n)<<20)
		}
		fmt.Println("filled", path, err)
	case "dial":
		c, err := net.DialTimeout("tcp", value, 2*time.Second)
		if err == nil {
			c.Close()
		}
		fmt.Println("dialled", err)
	case "environ":
		fmt.Println(strings.Join(os.Environ(), " "))
	case "interfaces":
		is, _ := net.Interfaces()
		fmt.Println(len(is))
	case "eat": // touches n MiB
		b := make([]byte, n<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		fmt.Println("ate", len(b)>>20)
	case "wait": // for SIGTERM
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("waiting")
		<-c
		fmt.Println("terminated")
	case "stay": // whatever comes
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("staying")
		for range c {
		}
	case "listen":
		l, err := net.Listen("tcp", ":"+value)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("listening")
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, "hello")
			c.Close()
		}
	case "exit":
		os.Exit(n)
	case "signal":
		signal.Reset()
		syscall.Kill(os.Getpid(), syscall.Signal(n))
	}
}
