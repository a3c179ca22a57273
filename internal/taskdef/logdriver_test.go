package taskdef

import "testing"

func TestDefinition_LogDestination(t *testing.T) {
	for _, c := range []struct{ log, want string }{
		{`{"logDriver":"awslogs","options":{"awslogs-group":"g"}}`, "awslogs"},
		{`{"logDriver":"awsfirelens"}`, "FireLens, as its own configuration says"},
		{`{"logDriver":"awsfirelens","options":{"Name":"cloudwatch_logs","log_group_name":"/ecs/weelo","region":"ap-south-1","log_stream_prefix":"x"}}`, "FireLens to CloudWatch Logs (aws logs tail /ecs/weelo --since 10m --region ap-south-1)"},
		{`{"logDriver":"awsfirelens","options":{"Name":"datadog","Host":"http-intake.logs.datadoghq.com","apikey":"hunter2"}}`, "FireLens to datadog at http-intake.logs.datadoghq.com"},
		{`{"logDriver":"awsfirelens","options":{"Name":"firehose","delivery_stream":"logs","region":"ap-south-1"}}`, "FireLens to firehose at logs in ap-south-1"},
		{`{"logDriver":"splunk","options":{"splunk-token":"hunter2","splunk-url":"https://me:hunter2@splunk.example.com:8088?token=hunter2"}}`, "the splunk driver at https://splunk.example.com:8088"},
		{`{"logDriver":"fluentd","options":{"fluentd-address":"me:hunter2@10.0.0.1:24224"}}`, "the fluentd driver at 10.0.0.1:24224"},
		{`{"logDriver":"syslog","options":{"syslog-address":"udp://10.0.0.1:514"}}`, "the syslog driver at udp://10.0.0.1:514"},
		{`{"logDriver":"json-file"}`, "the host's own logs (driver json-file)"},
		{`{"logDriver":"none"}`, "nowhere (driver none)"},
		{`{"logDriver":"tomorrow","options":{"secret":"hunter2"}}`, "the tomorrow driver"},
	} {
		d, err := Parse([]byte(`{"family":"weelo","containerDefinitions":[{"name":"app","image":"i","logConfiguration":`+c.log+`}]}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.LogDestination("app"); got != c.want {
			t.Errorf("LogDestination(%s) = %q, want %q", c.log, got, c.want)
		}
		if got := d.LogDestination("sidecar"); got != "" {
			t.Errorf("LogDestination of a container that is not there = %q", got)
		}
	}
}
