# What programs do with Net::Amazon::S3. Called with a bucket that holds 1050
# objects below many/ and a folder of files; prints "passed" at the end.
use strict;
use warnings;
use HTTP::Tiny;
use Net::Amazon::S3;
use Net::Amazon::S3::Authorization::Basic;
use Net::Amazon::S3::Client;
use Net::Amazon::S3::Vendor::Generic;
use Net::Amazon::S3::Signature::V4;

print "Net::Amazon::S3 $Net::Amazon::S3::VERSION\n";
my ( $name, $folder ) = @ARGV;
my ($host) = $ENV{ENDPOINT} =~ m{^http://(.*)};

sub connect_with {
    return Net::Amazon::S3::Client->new( s3 => Net::Amazon::S3->new(
            authorization_context => Net::Amazon::S3::Authorization::Basic->new(
                aws_access_key_id => $ENV{AWS_ACCESS_KEY_ID}, aws_secret_access_key => shift ),
            vendor => Net::Amazon::S3::Vendor::Generic->new( host => $host, use_https => 0, use_virtual_host => 0,
                authorization_method => 'Net::Amazon::S3::Signature::V4', default_region => $ENV{AWS_DEFAULT_REGION} ),
            retry => 0 ) );
}

sub check { my ( $ok, $what ) = @_; die "failed: $what\n" unless $ok; return }

sub slurp {
    my ($path) = @_;
    open my $f, '<:raw', $path or die "$path: $!";
    local $/;
    my $body = <$f>;
    return $body // '';
}

my $bucket = connect_with( $ENV{AWS_SECRET_ACCESS_KEY} )->bucket( name => $name );

for my $path ( glob "$folder/*.bin" ) {
    next if -s $path > 20_000_000;
    my ($file) = $path =~ m{([^/]+)$};
    my $object = $bucket->object( key => "files/$file" );
    $object->put_filename($path);
    $object->get_filename('back');
    check( slurp('back') eq slurp($path), "bytes of $file" );
}

for my $key ( 'a b', 'plus+percent%20', 'a&b=c', 'deep/er' ) {
    my $object = $bucket->object( key => "odd/$key", content_type => 'text/x-test' );
    $object->put($key);
    check( $object->get eq $key, $key );
    check( $object->exists,      "head of $key" );
    my $url = $bucket->object( key => "odd/$key", expires => time + 600 )->query_string_authentication_uri;
    my $got = HTTP::Tiny->new->get("$url");
    check( $got->{success} && $got->{content} eq $key, "presigned URL of $key" );
    check( HTTP::Tiny->new->get( $url . '0' )->{status} == 403, "another signature of $key" );
}

my ( $listed, $odd ) = ( 0, 0 );
my $stream = $bucket->list( { prefix => 'many/' } );
until ( $stream->is_done ) { $listed += scalar $stream->items }
check( $listed == 1050, "$listed are listed" );
$stream = $bucket->list( { prefix => 'odd/' } );
until ( $stream->is_done ) { $odd += scalar grep { $_->key =~ m{^odd/} && $_->size } $stream->items }
check( $odd == 4, "$odd odd keys are listed" );

my $object = $bucket->object( key => 'odd/a b' );
$object->delete;
check( !$object->exists, 'delete' );
check( !eval { $object->get; 1 } && $@ =~ /NoSuchKey/, 'get what is deleted' );
check( !eval { connect_with('another')->bucket( name => $name )->object( key => 'refused' )->put('x'); 1 }, 'wrong secret' );
check( !$bucket->object( key => 'refused' )->exists, 'what was refused' );
print "passed\n";
