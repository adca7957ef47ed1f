# What programs do with the AWS SDK for Ruby. Called with a bucket that holds
# 1050 objects below many/ and a folder of files; prints "passed" at the end.
require "aws-sdk-s3"
require "digest"
require "net/http"

def check(ok, what)
  raise "failed: #{what}" unless ok
end

def fails(error)
  yield
rescue error
  nil
else
  raise "no #{error}"
end

puts "aws-sdk-s3 #{Aws::S3::GEM_VERSION}"
name, folder = ARGV
client = Aws::S3::Client.new(endpoint: ENV["ENDPOINT"], force_path_style: true, retry_limit: 0)
bucket = Aws::S3::Resource.new(client: client).bucket(name)
check(bucket.exists?, "bucket")

# Files of all sizes, the large ones in parts.
Dir.each_child(folder) do |file|
  path = File.join(folder, file)
  object = bucket.object("files/#{file}")
  object.upload_file(path, multipart_threshold: 6 << 20)
  check(object.content_length == File.size(path), file)
  object.download_file("back") # which cuts no file that is there
  check(Digest::SHA256.file("back") == Digest::SHA256.file(path), file)
  File.delete("back")
end

# A stream of unknown length.
large = Random.new(1).bytes(12 << 20)
object = bucket.object("stream")
object.upload_stream { |io| (0...12).each { |i| io << large[i << 20, 1 << 20] } }
check(object.get.body.read.b == large, "stream")
check(object.get(range: "bytes=6000000-6000099").body.read.b == large[6_000_000, 100], "range")
parts = []
client.get_object(bucket: name, key: "stream") { |chunk| parts << chunk }
check(parts.join.b == large, "blocks")

# Checksums, metadata, conditions.
%w[CRC32 SHA1 SHA256].each do |algorithm|
  put = client.put_object(bucket: name, key: "sum", body: "hello", checksum_algorithm: algorithm)
  got = client.get_object(bucket: name, key: "sum", checksum_mode: "ENABLED")
  field = "checksum_#{algorithm.downcase}"
  check(put[field] && put[field] == got[field] && got.body.read.b == "hello", algorithm)
end
fails(Aws::S3::Errors::BadDigest) { client.put_object(bucket: name, key: "bad", body: "hello", content_md5: Digest::MD5.base64digest("other")) }
fails(Aws::S3::Errors::NotFound) { client.head_object(bucket: name, key: "bad") }
key = "odd/ünï +%20&?#日本"
put = client.put_object(bucket: name, key: key, body: "x", metadata: { "colour" => "blue" }, content_type: "text/x-test", cache_control: "no-cache")
head = client.head_object(bucket: name, key: key)
check(head.metadata == { "colour" => "blue" } && head.content_type == "text/x-test" && head.cache_control == "no-cache", "metadata")
fails(Aws::S3::Errors::NotModified) { client.get_object(bucket: name, key: key, if_none_match: put.etag) }
fails(Aws::S3::Errors::PreconditionFailed) { client.get_object(bucket: name, key: key, if_match: '"0"') }
check(bucket.object(key).presigned_url(:get).then { |u| Net::HTTP.get(URI(u)) } == "x", "presigned")
url = URI(bucket.object("presigned").presigned_url(:put, expires_in: 600))
check(Net::HTTP.start(url.host, url.port) { |h| h.put(url.request_uri, "sent") }.is_a?(Net::HTTPOK), "presigned put")
check(bucket.object("presigned").get.body.read.b == "sent", "presigned put")

# Copies by the server, one in parts.
bucket.object("copy").copy_from(bucket.object(key))
check(bucket.object("copy").metadata == { "colour" => "blue" }, "copy")
bucket.object("stream").copy_to(bucket.object("copied"), multipart_copy: true, min_part_size: 5 << 20, content_length: large.size)
check(bucket.object("copied").get.body.read.b == large, "copy in parts")

# An upload, part by part, and one that is given up.
upload = bucket.object("upload").initiate_multipart_upload
upload.part(2).upload(body: "tail")
upload.part(1).upload(body: large[0, 5 << 20])
check(upload.parts.map(&:part_number) == [1, 2], "parts")
upload.complete(compute_parts: true)
check(bucket.object("upload").get.body.read.b == large[0, 5 << 20] + "tail".b, "upload")
upload = bucket.object("given up").initiate_multipart_upload
check(bucket.multipart_uploads.map(&:id) == [upload.id], "uploads")
upload.abort
fails(Aws::S3::Errors::NoSuchUpload) { upload.parts.to_a }

# Lists and deletions.
check(bucket.objects(prefix: "many/").count == 1050, "list")
pages = client.list_objects_v2(bucket: name, prefix: "many/", max_keys: 300).map { |p| p.contents.size }
check(pages == [300, 300, 300, 150], "pages")
prefixes = client.list_objects_v2(bucket: name, delimiter: "/").common_prefixes.map(&:prefix)
check(prefixes == %w[files/ many/ odd/], "prefixes")
bucket.objects(prefix: "many/").batch_delete!
check(bucket.objects(prefix: "many/").none?, "deletion")
check(bucket.objects.map(&:key).include?(key), "odd key")
fails(Aws::S3::Errors::NoSuchKey) { bucket.object("many/0001").get }
fails(Aws::S3::Errors::BucketNotEmpty) { bucket.delete }
wrong = Aws::S3::Client.new(endpoint: ENV["ENDPOINT"], force_path_style: true, retry_limit: 0, secret_access_key: "another", access_key_id: ENV["AWS_ACCESS_KEY_ID"])
fails(Aws::S3::Errors::SignatureDoesNotMatch) { wrong.get_object(bucket: name, key: "copy") }
bucket.objects.batch_delete!
bucket.delete
check(!bucket.exists?, "bucket")
puts "passed"
