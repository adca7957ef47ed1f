package edits

import (
	"testing"

	"github.com/sanctum-storage/gateway/meta"
)

// A bucket's settings are those of its row: neither is put back without the other.
func TestSettingsBelongToTheirBucketsRow(t *testing.T) {
	for name, edit := range map[string]string{
		"the row, to before there were any":     "UPDATE buckets SET revision = 0, record = (SELECT record FROM early_buckets AS e WHERE e.id = buckets.id), versioning = 0 WHERE name = CAST('settled' AS BLOB)",
		"one setting, to what it was":           "UPDATE bucket_settings SET document = (SELECT document FROM early_settings AS e WHERE e.bucket_id = bucket_settings.bucket_id AND e.name = bucket_settings.name) WHERE name = CAST('cors' AS BLOB) AND bucket_id IN (SELECT bucket_id FROM early_settings)",
		"one setting, which is removed":         "DELETE FROM bucket_settings WHERE name = CAST('cors' AS BLOB) AND bucket_id IN (SELECT bucket_id FROM early_settings)",
		"one setting, that was removed, is new": "INSERT INTO bucket_settings (bucket_id, name, document) SELECT bucket_id, name, document FROM early_settings WHERE name = CAST('tags' AS BLOB)",
	} {
		t.Run(name, func(t *testing.T) {
			o := openOld(t)
			ctx := t.Context()
			o.reseal(o.open(), meta.SealingWhole)
			g := o.open()
			alice := o.scene.People["alice"]
			do := func(method, target, body string) {
				t.Helper()
				if a, _ := g.Ask(alice, method, target, []byte(body)); a.Status/100 != 2 {
					t.Fatalf("%s %s: %d %s", method, target, a.Status, a.Text)
				}
			}
			do("PUT", "/settled", "")
			o.edit("CREATE TABLE early_buckets AS SELECT * FROM buckets")
			const tags = `<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>`
			do("PUT", "/settled?tagging", tags)
			do("PUT", "/settled?cors", `<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>`)
			o.edit("CREATE TABLE early_settings AS SELECT * FROM bucket_settings WHERE bucket_id = (SELECT id FROM buckets WHERE name = CAST('settled' AS BLOB))")
			do("DELETE", "/settled?tagging", "")
			do("PUT", "/settled?cors", `<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>https://example.com</AllowedOrigin></CORSRule></CORSConfiguration>`)
			o.edit(edit)
			again, err := Open(ctx, o.config)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Engine.Close()
			b, err := again.Engine.Buckets().Get(ctx, "settled")
			if err != nil {
				t.Fatal(err) // the row is one that a gateway wrote
			}
			if _, err := again.Engine.Buckets().Settings(ctx, b); err == nil {
				t.Error("the bucket's settings are taken for what was set")
			}
			if a, _ := again.Ask(alice, "GET", "/settled?cors", nil); a.Status < 400 || a.Status == 404 {
				t.Errorf("CORS rules: %d %s", a.Status, a.Text)
			}
		})
	}
}
