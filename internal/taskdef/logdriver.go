package taskdef

import (
	"cmp"
	"net/url"
	"strings"
)

// LogDestination says for people where the output of a container goes when it is
// not awslogs that sends it: "FireLens to datadog at intake.example.com". Empty for
// a container that has no log configuration or is not there. Options that could
// hold a secret are not looked at.
func (d *Definition) LogDestination(container string) string {
	c, _ := d.find(container)
	o := c.Log.Options
	switch driver := c.Log.Driver; driver {
	case "", "awslogs":
		return driver
	case "awsfirelens":
		return firelens(o)
	case "none":
		return "nowhere (driver none)"
	case "json-file", "local", "journald":
		return "the host's own logs (driver " + driver + ")"
	default:
		return at("the "+driver+" driver", cmp.Or(o[driver+"-address"], o[driver+"-url"]))
	}
}

// firelens names the output plugin of Fluent Bit and where it sends to (Custom
// log routing, ECS Developer Guide). Its options are written in either case.
func firelens(options map[string]string) string {
	o := map[string]string{}
	for k, v := range options {
		o[strings.ToLower(k)] = v
	}
	name := o["name"]
	switch name {
	case "":
		return "FireLens, as its own configuration says"
	case "cloudwatch", "cloudwatch_logs":
		return "FireLens to CloudWatch Logs" + tail(o["log_group_name"], o["region"])
	}
	where := cmp.Or(o["delivery_stream"], o["stream"], o["bucket"], o["topics"], o["host"], o["endpoint"])
	return at("FireLens to "+name, where) + in(o["region"])
}

// tail is the command that shows a log group. Its streams have names that only
// FireLens knows.
func tail(group, region string) string {
	if group == "" || strings.Contains(group, "$") {
		return ""
	}
	command := " (aws logs tail " + group + " --since 10m"
	if region != "" {
		command += " --region " + region
	}
	return command + ")"
}

func in(region string) string {
	if region == "" {
		return ""
	}
	return " in " + region
}

// at puts an address behind what it belongs to, without the password that may be in
// it.
func at(what, address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		u.User, u.RawQuery = nil, ""
		address = u.String()
	} else if _, host, ok := strings.Cut(address, "@"); ok {
		address = host
	}
	if address == "" {
		return what
	}
	return what + " at " + address
}
