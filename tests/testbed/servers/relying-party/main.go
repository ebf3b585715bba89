// Command relying-party verifies tokens the way a service that knows nothing of KubeAssume does:
// with go-oidc, through the issuer's public documents. One token a line on stdin, one JSON line
// a token on stdout; the token itself is never printed. It ends when stdin does.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

type verdict struct {
	OK    bool   `json:"ok"`
	Sub   string `json:"sub,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	issuer := flag.String("issuer", "", "issuer URL, byte for byte as in the token")
	audience := flag.String("audience", "", "audience that a token must carry")
	ca := flag.String("ca", "", "PEM file of the only roots to trust")
	fresh := flag.Bool("fresh", false, "discover again for every token: nothing is remembered")
	flag.Parse()
	if err := run(*issuer, *audience, *ca, *fresh); err != nil {
		fmt.Fprintln(os.Stderr, "relying-party:", err)
		os.Exit(1)
	}
}

func run(issuer, audience, ca string, fresh bool) error {
	client, err := httpClient(ca)
	if err != nil {
		return err
	}
	ctx := oidc.ClientContext(context.Background(), client)
	var kept *oidc.IDTokenVerifier
	if !fresh {
		if kept, err = discover(ctx, issuer, audience); err != nil {
			return err
		}
	}
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadString('\n')
		if token := strings.TrimSpace(line); token != "" {
			if err := out.Encode(verify(ctx, kept, issuer, audience, token)); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func verify(ctx context.Context, verifier *oidc.IDTokenVerifier, issuer, audience, token string) verdict {
	var err error
	if verifier == nil {
		if verifier, err = discover(ctx, issuer, audience); err != nil {
			return verdict{Error: err.Error()}
		}
	}
	id, err := verifier.Verify(ctx, token)
	if err != nil {
		return verdict{Error: strings.ReplaceAll(err.Error(), token, "<token>")}
	}
	return verdict{OK: true, Sub: id.Subject}
}

// The algorithms are pinned here, as a service's configuration would: go-oidc otherwise keeps the
// list that discovery named when the process began, and an issuer may add an EC key to its RSA keys.
func discover(ctx context.Context, issuer, audience string) (*oidc.IDTokenVerifier, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, err
	}
	algorithms := []string{oidc.RS256, oidc.ES256, oidc.ES384, oidc.ES512}
	return provider.VerifierContext(ctx, &oidc.Config{ClientID: audience, SupportedSigningAlgs: algorithms}), nil
}

func httpClient(ca string) (*http.Client, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", ca)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}, nil
}
