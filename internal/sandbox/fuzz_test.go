package sandbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// FuzzRequests sends bodies that no client makes to every protocol at POST /: it
// must answer each of them, and never as its own fault.
func FuzzRequests(f *testing.F) {
	const form = "application/x-www-form-urlencoded"
	f.Add("", form, "Action=GetCallerIdentity&Version=2011-06-15")
	f.Add("", form, "Action=SimulatePrincipalPolicy&Version=2010-05-08&PolicySourceArn=arn:aws:iam::000000000000:user/sandbox&ActionNames.member.1=ecs:%2A")
	f.Add("", form, "Action=DescribeLoadBalancers&Version=2015-12-01&Names.member.1=a&PageSize=x")
	f.Add("", form, "Action=DescribeAlarms&Version=2010-08-01&AlarmNames.member.99999999999999999999=a")
	f.Add("", form, "a=%&b;c")
	f.Add("AmazonEC2ContainerServiceV20141113.ListClusters", "application/x-amz-json-1.1", `{"nextToken":"IA"}`)
	f.Add("AmazonEC2ContainerServiceV20141113.CreateService", "application/x-amz-json-1.1", `{"serviceName":"s","taskDefinition":"t","desiredCount":1}`)
	f.Add("AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", "application/x-amz-json-1.1", `{"family":"f","containerDefinitions":[{"name":"a","image":"i","memory":1}]}`)
	f.Add("Logs_20140328.FilterLogEvents", "application/x-amz-json-1.1", `{"logGroupName":"g","nextToken":"MSAxIHM","limit":-1}`)
	f.Add("AmazonEC2ContainerRegistry_V20150921.PutImage", "application/x-amz-json-1.1", `{"repositoryName":"web","imageManifest":"{}"}`)
	f.Add("AmazonSSM.GetParameters", "application/x-amz-json-1.1", `{"Names":["/a"]}`)
	s, err := Start(f.Context(), Config{Listen: "127.0.0.1:0", Speed: fast, Runtime: scripted.New()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Error(err)
		}
	})
	for _, call := range [][2]string{
		{"AmazonEC2ContainerServiceV20141113.CreateCluster", `{}`}, {"AmazonEC2ContainerRegistry_V20150921.CreateRepository", `{"repositoryName":"web"}`},
		{"Logs_20140328.CreateLogGroup", `{"logGroupName":"g"}`},
	} {
		if w := post(s.http.Handler, call[0], "application/x-amz-json-1.1", call[1]); w.Code != http.StatusOK {
			f.Fatalf("%s answers %d %s", call[0], w.Code, w.Body)
		}
	}
	f.Fuzz(func(t *testing.T, target, contentType, body string) {
		if w := post(s.http.Handler, target, contentType, body); w.Code < 200 || w.Code >= 500 {
			t.Errorf("%s %q %q answers %d %s", target, contentType, body, w.Code, w.Body)
		}
	})
}

func post(h http.Handler, target, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/", strings.NewReader(body))
	r.Header["X-Amz-Target"] = []string{target}
	r.Header["Content-Type"] = []string{contentType}
	if target == "" {
		r.Header.Del("X-Amz-Target")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
