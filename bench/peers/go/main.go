// What a socket proxy costs at least when it is made of Go's own reverse proxy: one list of expressions, nothing logged.
//
//	go build -o peer main.go && BENCH_PEER_GO='peer {frontend} {backend}' make bench
package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
)

var rules = map[string][]*regexp.Regexp{}

func allow(pattern string, methods ...string) {
	expression := regexp.MustCompile(`^(/v[0-9]+(\.[0-9]+)*)?` + pattern + `$`)
	for _, method := range methods {
		rules[method] = append(rules[method], expression)
	}
}

func allowed(request *http.Request) bool {
	for _, expression := range rules[request.Method] {
		if expression.MatchString(request.URL.Path) {
			return true
		}
	}
	return false
}

func main() {
	frontend, backend := os.Args[1], os.Args[2]
	allow(`/(_ping|version|info)`, "GET", "HEAD")
	allow(`/events`, "GET")
	allow(`/exec(/.*)?`, "GET", "HEAD", "POST")
	allow(`/containers(/.*)?`, "GET", "HEAD", "POST")
	allow(`/(images|volumes|networks|build)(/.*)?`, "GET", "HEAD")
	allow(`/images/load`, "POST")

	target, _ := url.Parse("http://docker")
	proxy := httputil.NewSingleHostReverseProxy(target)
	// At once, as streams of events want it.
	proxy.FlushInterval = -1
	proxy.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", backend)
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: 64,
	}
	handler := func(answer http.ResponseWriter, request *http.Request) {
		if !allowed(request) {
			http.Error(answer, "forbidden", http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(answer, request)
	}
	log.Fatal(http.ListenAndServe(frontend, http.HandlerFunc(handler)))
}
