package awsjson

import (
	"fmt"
	"reflect"
	"time"

	cwltypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	ecsdocument "github.com/aws/aws-sdk-go-v2/service/ecs/document"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

var (
	timeType     = reflect.TypeFor[time.Time]()
	documentType = reflect.TypeFor[ecsdocument.Interface]()
)

// upperCased holds the shapes whose members start with a capital on the wire.
var upperCased = map[reflect.Type]bool{
	reflect.TypeFor[ecrtypes.Tag](): true,
}

// unionMember is one alternative of a union: {"name": value} on the wire, a
// structure with the one field Value in the SDK.
type unionMember struct {
	name string
	typ  reflect.Type
}

// unionTable knows the alternatives of each union type and, for the way back,
// the wire name of each alternative.
type unionTable struct {
	members map[reflect.Type][]unionMember
	names   map[reflect.Type]string
}

// unions lists the alternatives of each union type. Go's reflection cannot find
// the types that implement an interface, so they are named here; the
// conformance test fails when the SDK gains one.
var unions = unionTable{members: make(map[reflect.Type][]unionMember), names: make(map[reflect.Type]string)}.
	add(new(ecstypes.DescribeGatewayConfigurationMemberHostSharedAlb), reflect.TypeFor[ecstypes.DescribeGatewayConfiguration]()).
	add(new(ecstypes.GatewayConfigurationMemberHostSharedAlb), reflect.TypeFor[ecstypes.GatewayConfiguration]()).
	add(new(ecstypes.GatewayConnectionResourcesMemberHostSharedAlb), reflect.TypeFor[ecstypes.GatewayConnectionResources]()).
	add(new(ecstypes.GatewayElbAccessLogDestinationMemberS3), reflect.TypeFor[ecstypes.GatewayElbAccessLogDestination]()).
	add(new(ecstypes.GatewayInfrastructureResourcesMemberHostSharedAlb), reflect.TypeFor[ecstypes.GatewayInfrastructureResources]()).
	add(new(ecstypes.GatewayRouteResourcesMemberHostSharedAlb), reflect.TypeFor[ecstypes.GatewayRouteResources]()).
	add(new(ecstypes.ServiceConnectContainerConfigurationMemberLogLevel), reflect.TypeFor[ecstypes.ServiceConnectContainerConfiguration]()).
	add(new(ecstypes.SharingStrategyMemberNvidiaMps), reflect.TypeFor[ecstypes.SharingStrategy]()).
	add(new(ecstypes.UpdateGatewayConfigurationMemberHostSharedAlb), reflect.TypeFor[ecstypes.UpdateGatewayConfiguration]()).
	add(new(cwltypes.IntegrationDetailsMemberOpenSearchIntegrationDetails), reflect.TypeFor[cwltypes.IntegrationDetails]()).
	add(new(cwltypes.ResourceConfigMemberOpenSearchResourceConfig), reflect.TypeFor[cwltypes.ResourceConfig]())

// add makes an alternative of a union known. The SDK names its type
// <Union>Member<Name>, and the member is name on the wire.
func (u unionTable) add(alternative any, union reflect.Type) unionTable {
	t := reflect.TypeOf(alternative).Elem()
	name := lowerFirst(t.Name()[len(union.Name())+len("Member"):])
	u.members[union] = append(u.members[union], unionMember{name: name, typ: t})
	u.names[t] = name
	return u
}

// value returns a new alternative of the union type for the member's name.
func (u unionTable) value(union reflect.Type, name string) (reflect.Value, error) {
	for _, m := range u.members[union] {
		if m.name == name {
			return reflect.New(m.typ), nil
		}
	}
	return reflect.Value{}, fmt.Errorf("%s has no alternative %q", union.Name(), name)
}
