package api_test

import "testing"

// A malformed or contradictory element is reported before an unsupported one,
// wherever in the document they are; without it, the unsupported one is
// reported.
func TestMalformedIsToldFirst(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/target", nil)
	rule := func(inner string) string {
		return "<Rule><ID></ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>" + inner + "</Rule>"
	}
	lifecycle := func(rules string) string { return "<LifecycleConfiguration>" + rules + "</LifecycleConfiguration>" }
	move := func(days, class string) string {
		return "<Transition><Days>" + days + "</Days><StorageClass>" + class + "</StorageClass></Transition>"
	}
	encryption := func(algorithm, more string) string {
		return "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>" + algorithm + "</SSEAlgorithm></ApplyServerSideEncryptionByDefault>" + more + "</Rule></ServerSideEncryptionConfiguration>"
	}
	cold := rule(move("1", "GLACIER"))
	for _, c := range []struct{ target, document, code string }{
		{"/bkt?lifecycle", lifecycle(cold), "NotImplemented"},
		{"/bkt?lifecycle", lifecycle(rule(move("-1", "GLACIER"))), "InvalidArgument"},
		{"/bkt?lifecycle", lifecycle(rule(move("1", "GLACIER") + move("2", "GLACIER"))), "InvalidRequest"},
		{"/bkt?lifecycle", lifecycle(rule(move("1", "DEEP_ARCHIVE") + move("2", "PAPER"))), "MalformedXML"},
		{"/bkt?lifecycle", lifecycle(rule(move("1", "GLACIER") + "<Expiration><Days>0</Days></Expiration>")), "InvalidArgument"},
		{"/bkt?lifecycle", lifecycle(rule(move("9", "GLACIER") + "<Expiration><Days>3</Days></Expiration>")), "InvalidArgument"},
		{"/bkt?lifecycle", lifecycle(cold + rule("")), "InvalidRequest"},
		{"/bkt?lifecycle", lifecycle(cold + rule("<Expiration/>")), "MalformedXML"},
		{"/bkt?lifecycle",
			lifecycle(rule("<NoncurrentVersionTransition><NoncurrentDays>0</NoncurrentDays><StorageClass>GLACIER</StorageClass><NewerNoncurrentVersions>0</NewerNoncurrentVersions></NoncurrentVersionTransition>")), "InvalidArgument"},
		{"/bkt?inventory&id=daily", inventoryTo("CSV", "ORC"), "NotImplemented"},
		{"/bkt?inventory&id=daily", inventoryTo("CSV", "ORC", "<Field>Size</Field>", "<Field>Sise</Field>"), "MalformedXML"},
		{"/bkt?inventory&id=daily", inventoryTo("CSV", "Parquet", "<Id>daily</Id>", "<Id>other</Id>"), "InvalidArgument"},
		{"/bkt?inventory&id=daily", inventoryTo("CSV", "Parquet", ":::target", ":::none"), "InvalidS3DestinationBucket"},
		{"/bkt?inventory&id=daily", inventoryTo("<SSE-S3></SSE-S3>", "<SSE-KMS><KeyId>k</KeyId></SSE-KMS>",
			"<Field>Size</Field>", "<Field>ETag</Field>"), "MalformedXML"},
		{"/bkt?inventory&id=daily", inventoryTo("<Field>Size</Field>",
			"<Field>ObjectAccessControlList</Field><Field>Size</Field><Field>Size</Field>"), "MalformedXML"},
		{"/bkt?inventory&id=daily", inventoryTo("<Field>Size</Field>", "<Field>ObjectAccessControlList</Field>"), "NotImplemented"},
		{"/bkt?encryption", encryption("aws:kms:dsse", ""), "NotImplemented"},
		{"/bkt?encryption", encryption("aws:kms:dsse", "<BlockedEncryptionTypes><EncryptionType>ROT13</EncryptionType></BlockedEncryptionTypes>"), "MalformedXML"},
		{"/bkt?versioning", "<VersioningConfiguration><MfaDelete>Enabled</MfaDelete><Status>Enabled</Status></VersioningConfiguration>", "NotImplemented"},
		{"/bkt?versioning", "<VersioningConfiguration><MfaDelete>Enabled</MfaDelete><Status>On</Status></VersioningConfiguration>", "MalformedXML"},
		{"/bkt?versioning", "<VersioningConfiguration><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>", "IllegalVersioningConfigurationException"},
		{"/new", "<CreateBucketConfiguration><Location><Type>AvailabilityZone</Type></Location></CreateBucketConfiguration>", "NotImplemented"},
		{"/new", "<CreateBucketConfiguration><Location><Type>AvailabilityZone</Type></Location><Tags><Tag><Key>aws:x</Key><Value>y</Value></Tag></Tags></CreateBucketConfiguration>", "InvalidTag"},
		{"/new", "<CreateBucketConfiguration><Location><Type>AvailabilityZone</Type></Location><Nothing/></CreateBucketConfiguration>", "MalformedXML"},
		{"/bkt?requestPayment", "<RequestPaymentConfiguration><Payer>Requester</Payer><Payer>Me</Payer></RequestPaymentConfiguration>", "MalformedXML"},
		{"/bkt?accelerate", "<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>x", "MalformedXML"},
	} {
		if res := g.Do(t, g.Root, "PUT", c.target, []byte(c.document)); res.Code() != c.code {
			t.Errorf("%s %s: %d %s, want %s", c.target, c.document, res.Status, res.Body, c.code)
		}
	}
	for query, code := range map[string]string{"lifecycle": "NoSuchLifecycleConfiguration", "inventory&id=daily": "NoSuchConfiguration"} {
		expect(t, query, g.Do(t, g.Root, "GET", "/bkt?"+query, nil), 404, code)
	}
	expect(t, "bucket", g.Do(t, g.Root, "GET", "/new", nil), 404, "NoSuchBucket")
}
