// Package alarms is CloudWatch as far as deployments need it: alarms whose state
// is set by hand. Nothing is measured here, so an alarm keeps the state that
// SetAlarmState, the seed or a fault gave it; a composite alarm follows its rule.
//
// CloudWatch speaks three protocols, and living clients use all of them: today's
// SDKs send CBOR (smithy-rpc-v2-cbor, at /service/…/operation/…), some JSON 1.0,
// and those from before 2025 forms that are answered in XML (Query). One table of
// operations stands behind the three; see [Store.API].
//
// [Store.State] is what others ask: the state of an alarm by its name.
package alarms
