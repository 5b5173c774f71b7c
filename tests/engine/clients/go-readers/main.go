// Readers is an engine that does nothing but read queries and bodies, with the readers of the real one: it answers every request
// with what an engine would understand. Docker reads a query with ParseForm and takes the first of several values (moby,
// api/server/httputils); it splits ps_args at ASCII blanks (moby, daemon/top_unix.go), and reads filters as a JSON object of
// objects or, for old clients, of lists (moby, api/types/filters). The body of a create is decoded into a struct (moby, api/types/container); these fields are a part of it.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// Reading is what an engine understands of one request.
type Reading struct {
	Path    string              `json:"path"`
	Form    url.Values          `json:"form"`
	PsArgs  []string            `json:"ps_args"`
	Filters map[string][]string `json:"filters"`
	Create  *Create             `json:"create"`
}

// Create is a part of the body of a create.
type Create struct {
	Image      string
	User       string
	Env        []string
	Labels     map[string]string
	HostConfig *struct {
		Privileged  bool
		Binds       []string
		NetworkMode string
		PidMode     string
		CapAdd      []string
		Memory      int64
	}
}

func isBlank(r rune) bool { return strings.ContainsRune("\t\n\f\r ", r) }

func readFilters(text string) (map[string][]string, error) {
	read := map[string][]string{}
	if text == "" {
		return read, nil
	}
	var sets map[string]map[string]bool
	if err := json.Unmarshal([]byte(text), &sets); err == nil {
		for key, set := range sets {
			for value := range set {
				read[key] = append(read[key], value)
			}
		}
		return read, nil
	}
	if err := json.Unmarshal([]byte(text), &read); err != nil {
		return nil, err
	}
	return read, nil
}

func answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fail := func(err error) {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]string{"message": err.Error()})
	}
	if err := r.ParseForm(); err != nil {
		fail(err)
		return
	}
	var create *Create
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/create") {
		create = &Create{}
		if err := json.NewDecoder(r.Body).Decode(create); err != nil {
			fail(err)
			return
		}
	}
	filters, err := readFilters(r.Form.Get("filters"))
	if err != nil {
		fail(err)
		return
	}
	arguments := strings.FieldsFunc(r.Form.Get("ps_args"), isBlank)
	json.NewEncoder(w).Encode(Reading{Path: r.URL.Path, Form: r.Form, PsArgs: arguments, Filters: filters, Create: create})
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	if err := http.Serve(listener, http.HandlerFunc(answer)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
