package health

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
)

// The faults are told apart by what the real client makes of them.
func TestFaultOf_theRealClient(t *testing.T) {
	good := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
	})
	gone := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("the SSO session has expired or is invalid")
	})
	offline := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("dial tcp: lookup sts.ap-south-1.amazonaws.com: no such host")
	})
	for _, c := range []struct {
		name        string
		credentials aws.CredentialsProvider
		body        string
		want        fault
		says        string
	}{
		{"throttled", good, `{"__type":"ThrottlingException","message":"Rate exceeded"}`, throttling, "ThrottlingException: Rate exceeded"},
		{"denied", good, `{"__type":"AccessDeniedException","message":"no"}`, denied, "AccessDeniedException: no"},
		{"expired", good, `{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}`, credentials, "ExpiredTokenException: The security token included in the request is expired"},
		{"no credentials any more", gone, `{}`, credentials, "get identity: get credentials: the SSO session has expired or is invalid"},
		{"credentials out of reach for now", offline, `{}`, passing, "get identity: get credentials: dial tcp: lookup sts.ap-south-1.amazonaws.com: no such host"},
		{"a fault of the server", good, `{"__type":"ServerException","message":"oops"}`, passing, "ServerException: oops"},
		{"no cluster", good, `{"__type":"ClusterNotFoundException","message":"Cluster not found."}`, absent, "ClusterNotFoundException: Cluster not found."},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls++
				w.WriteHeader(http.StatusBadRequest)
				w.Write([]byte(c.body))
			}))
			defer srv.Close()
			client := ecs.New(ecs.Options{Region: "ap-south-1", BaseEndpoint: &srv.URL, Credentials: c.credentials})
			_, err := client.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Services: []string{"x"}}, once)
			if err == nil || faultOf(err) != c.want {
				t.Errorf("faultOf(%v) = %d, want %d", err, faultOf(err), c.want)
			}
			if got := cause(err); got != c.says {
				t.Errorf("cause() = %q, want %q", got, c.says)
			}
			if calls > 1 {
				t.Errorf("the SDK made %d calls, want its retries switched off", calls)
			}
		})
	}
}
