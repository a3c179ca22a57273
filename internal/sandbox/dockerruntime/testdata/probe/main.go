// Command probe runs inside a container and says what it sees there.
//
//	probe report           prints a JSON object about the process
//	probe dial HOST:PORT   exits with 0 when it can connect, 3 when not; an
//	                       address where nothing listens is tried for 10 s
//	probe metadata         prints what the metadata endpoint says of the container
//	probe write FILE       creates a file
//	probe kernel           prints a JSON object of limits, parameters and mounts
//	probe lines N          prints N numbered lines, one of 20,000 bytes, one that
//	                       is not UTF-8 and one without an end
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		os.Exit(2)
	}
	switch os.Args[1] {
	case "dial":
		os.Exit(dial(os.Args[2]))
	case "metadata":
		metadata()
	case "write":
		write(os.Args[2])
	case "kernel":
		kernel()
	case "lines":
		lines(os.Args[2])
	default:
		report()
	}
}

func report() {
	dir, _ := os.Getwd()
	host, _ := os.Hostname()
	write := os.WriteFile("/written", nil, 0o644)
	tell(map[string]any{
		"args": os.Args, "dir": dir, "uid": os.Getuid(), "gid": os.Getgid(), "pid": os.Getpid(),
		"host": host, "color": os.Getenv("COLOR"), "writable": write == nil,
	})
}

func tell(what map[string]any) {
	out, _ := json.Marshal(what)
	fmt.Println(string(out))
}

func fail(err error) {
	fmt.Println(err)
	os.Exit(3)
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

func metadata() {
	for _, what := range []string{"", "/stats"} {
		answer, err := http.Get(os.Getenv("ECS_CONTAINER_METADATA_URI_V4") + what)
		if err != nil {
			fail(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			fail(err)
		}
		fmt.Printf("%d %s\n", answer.StatusCode, body)
	}
}

func write(path string) {
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		fail(err)
	}
}

func kernel() {
	var files syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files)
	var shm syscall.Statfs_t
	_ = syscall.Statfs("/dev/shm", &shm)
	caps := ""
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "CapEff:\t"); ok {
			caps = strings.TrimSpace(rest)
		}
	}
	mounts := map[string]string{}
	all, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(all)) {
		if f := strings.Fields(line); f[1] == "/memory" || f[1] == "/data" {
			mode, _, _ := strings.Cut(f[3], ",")
			mounts[f[1]] = f[2] + " " + mode
		}
	}
	backlog, _ := os.ReadFile("/proc/sys/net/core/somaxconn")
	address, _ := net.LookupHost("db")
	_, seen := os.Stat("/data/seen")
	tell(map[string]any{
		"files": files.Max, "shm": shm.Blocks * uint64(shm.Bsize), "caps": caps, "mounts": mounts,
		"backlog": strings.TrimSpace(string(backlog)), "db": address, "seen": seen == nil,
	})
}

func lines(count string) {
	n, _ := strconv.Atoi(count)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for i := range n {
		fmt.Fprintln(out, i)
	}
	fmt.Fprintln(out, strings.Repeat("x", 20_000))
	fmt.Fprint(out, "\xff\x00\xfe\nunfinished")
}
