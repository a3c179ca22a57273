package throttle

// class is operations that share a bucket.
type class struct {
	name string
	Rate
	operations []string
}

// ecsClasses is the table of "Request throttling for the Amazon ECS API". It does not have
// StopServiceDeployment and ContinueServiceDeployment; they are counted as changes
// of services here.
var ecsClasses = []class{
	{"cluster modify", Rate{20, 1}, []string{"CreateCluster", "DeleteCluster", "PutClusterCapacityProviders", "UpdateCluster", "UpdateClusterSettings"}},
	{"cluster read", Rate{50, 20}, []string{"DescribeClusters", "ListClusters"}},
	{"task definition modify", Rate{20, 1}, []string{"DeregisterTaskDefinition", "RegisterTaskDefinition"}},
	{"task definition read", Rate{50, 20}, []string{"DescribeTaskDefinition", "ListTaskDefinitions", "ListTaskDefinitionFamilies"}},
	{"task definition deletion", Rate{5, 1}, []string{"DeleteTaskDefinitions"}},
	{"tag modify", Rate{20, 10}, []string{"TagResource", "UntagResource"}},
	{"tag read", Rate{50, 20}, []string{"ListTagsForResource"}},
	{"cluster resource modify", Rate{100, 40}, []string{"ExecuteCommand", "RunTask", "StartTask", "StopTask"}},
	{"cluster resource read", Rate{100, 20}, []string{"DescribeContainerInstances", "DescribeTasks", "ListContainerInstances", "ListTasks"}},
	{"service modify", Rate{50, 5}, []string{"CreateService", "DeleteService", "UpdateService", "StopServiceDeployment", "ContinueServiceDeployment"}},
	{"service read", Rate{100, 20}, []string{"DescribeServices", "ListServices"}},
	{"service deployment", Rate{50, 20}, []string{"DescribeServiceDeployments", "ListServiceDeployments"}},
	{"service revision", Rate{50, 20}, []string{"DescribeServiceRevisions"}},
}

// The quotas of the other services are calls a second, by operation; how large
// their buckets are is not said, and a second's worth is supposed.
var (
	// "Amazon ECR service quotas". Other operations have limits that are not told.
	ecrRates = map[string]float64{
		"BatchCheckLayerAvailability": 1000, "BatchGetImage": 2000, "CompleteLayerUpload": 100, "GetAuthorizationToken": 500,
		"GetDownloadUrlForLayer": 3000, "InitiateLayerUpload": 100, "PutImage": 10, "UploadLayerPart": 500,
	}
	// "CloudWatch Logs quotas"; see logsOf too.
	logsRates = map[string]float64{
		"CreateLogGroup": 10, "CreateLogStream": 50, "DeleteLogGroup": 10, "DeleteLogStream": 15, "DescribeLogGroups": 10,
		"DescribeLogStreams": 25, "PutLogEvents": 5000, "PutRetentionPolicy": 5,
	}
	// "Amazon CloudWatch endpoints and quotas".
	alarmRates = map[string]float64{
		"DeleteAlarms": 3, "DescribeAlarmHistory": 20, "DescribeAlarms": 9, "DisableAlarmActions": 3, "EnableAlarmActions": 3,
		"ListTagsForResource": 10, "PutCompositeAlarm": 3, "PutMetricAlarm": 3, "SetAlarmState": 3, "TagResource": 20, "UntagResource": 20,
	}
)

// logsOf are the quotas of CloudWatch Logs that regions have in different heights.
func logsOf(region string) map[string]float64 {
	get, filter := 25.0, 10.0
	switch region {
	case "us-east-1":
		filter = 25
	case "us-west-2", "eu-west-1":
		get = 10
	case "eu-west-3":
		get = 30
	case "ap-northeast-3", "ap-southeast-3", "ca-west-1", "eu-central-1", "il-central-1":
		get, filter = 10, 5
	}
	return map[string]float64{"GetLogEvents": get, "FilterLogEvents": filter}
}
