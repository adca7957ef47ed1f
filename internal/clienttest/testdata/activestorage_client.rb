# What Rails does with Active Storage's service of S3. Called with a bucket that
# holds 1050 objects below many/ and a folder of files; prints "passed" at the end.
require "active_support/all"
require "active_storage"
require "active_storage/service/s3_service"
require "#{Gem::Specification.find_by_name("activestorage").gem_dir}/app/models/active_storage/filename"
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

puts "activestorage #{ActiveStorage.version}, aws-sdk-s3 #{Aws::S3::GEM_VERSION}"
name, folder = ARGV
service = ActiveStorage::Service.configure(:gateway, gateway: {
  service: "S3", bucket: name, endpoint: ENV["ENDPOINT"], region: "us-east-1", force_path_style: true, retry_limit: 0,
  access_key_id: ENV["AWS_ACCESS_KEY_ID"], secret_access_key: ENV["AWS_SECRET_ACCESS_KEY"],
  upload: { multipart_threshold: 8 << 20 },
})

def asked(url, klass = Net::HTTP::Get, headers = {}, body = nil)
  uri = URI(url)
  request = klass.new(uri)
  headers.each { |key, value| request[key] = value if value }
  request.body = body
  Net::HTTP.start(uri.host, uri.port) { |http| http.request(request) }
end

# Files of all sizes with their digests, the large ones in parts.
Dir.each_child(folder) do |file|
  path = File.join(folder, file)
  bytes = File.binread(path)
  key = "files/#{file}"
  File.open(path, "rb") do |io|
    service.upload(key, io, checksum: Digest::MD5.base64digest(bytes), filename: ActiveStorage::Filename.new("ünï #{file}"), content_type: "application/x-test", disposition: :attachment)
  end
  check(service.exist?(key), "#{file} is there")
  check(service.download(key) == bytes, file)
  streamed = Digest::SHA256.new
  service.download(key) { |piece| streamed << piece }
  check(streamed.hexdigest == Digest::SHA256.hexdigest(bytes), "#{file} in pieces")
  if bytes.size > 4096
    check(service.download_chunk(key, 1000...4096) == bytes[1000...4096], "range of #{file}")
    check(service.download_chunk(key, 1000..4096) == bytes[1000..4096], "closed range of #{file}")
  end
end

# A wrong digest is an error, and nothing is there.
fails(ActiveStorage::IntegrityError) { service.upload("wrong", StringIO.new("bytes"), checksum: Digest::MD5.base64digest("others")) }
check(!service.exist?("wrong"), "nothing after a wrong digest")
fails(ActiveStorage::FileNotFoundError) { service.download("wrong") }
fails(ActiveStorage::FileNotFoundError) { service.download("wrong") { |_| } }
fails(ActiveStorage::FileNotFoundError) { service.download_chunk("wrong", 0..1) }

# A browser's upload by URL, with the length, type and digest that were signed.
bytes = Random.new(1).bytes(1_234_567)
direct = { content_type: "image/png", checksum: Digest::MD5.base64digest(bytes) }
url = service.url_for_direct_upload("direct", expires_in: 300, content_length: bytes.size, **direct)
headers = service.headers_for_direct_upload("direct", filename: ActiveStorage::Filename.new("ünï.png"), disposition: :inline, **direct)
check(asked(url, Net::HTTP::Put, headers, bytes.reverse).code == "400", "other bytes by the URL")
check(asked(url, Net::HTTP::Put, headers.merge("Content-Type" => "text/html"), bytes).code == "403", "another type by the URL")
check(asked(url, Net::HTTP::Put, headers, bytes[1..]).code == "403", "another length by the URL")
check(!service.exist?("direct"), "nothing after what was refused")
check(asked(url, Net::HTTP::Put, headers, bytes).code == "200", "an upload by URL")
check(service.download("direct") == bytes, "the upload by URL")

# What a page links to, with the name, disposition and type that it wants.
shown = asked(service.url("direct", expires_in: 300, filename: ActiveStorage::Filename.new("ünï 1.png"), disposition: :attachment, content_type: "image/x-test"))
check(shown.body.b == bytes, "a URL")
check(shown["Content-Type"] == "image/x-test", "its type")
check(shown["Content-Disposition"] == "attachment; filename=\"uni 1.png\"; filename*=UTF-8''%C3%BCn%C3%AF%201.png", "its name, #{shown["Content-Disposition"]}")
check(asked(URI(url).then { |u| u.query = nil; u.to_s }).code == "403", "a bare URL")

# What is purged is gone, with all below the key.
service.delete("direct")
service.delete("direct")
check(!service.exist?("direct"), "deleted")
service.delete_prefixed("files/")
service.delete_prefixed("many/")
check(service.bucket.objects.none?, "all purged")
check(service.client.client.list_multipart_uploads(bucket: name).uploads.empty?, "no uploads are left")
puts "passed"
