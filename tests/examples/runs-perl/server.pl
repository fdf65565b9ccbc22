#!/usr/bin/env perl
# Answers every request; writes each path into a file beside itself.
use strict;
use warnings;
use IO::Socket::INET;

my $port = $ENV{PORT} || 8085;
my $server = IO::Socket::INET->new(
    LocalAddr => '0.0.0.0', LocalPort => $port, Listen => 16, ReuseAddr => 1,
) or die "cannot listen: $!";

while (my $client = $server->accept) {
    my $request = <$client> // '';
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
    my ($path) = $request =~ m{^GET (\S+)};
    my $body = "Hello from perl\n";
    if (open my $log, '>>', 'visits.log') { print {$log} ($path // '-') . "\n"; close $log }
    else { $body = "cannot write: $!\n" }
    print {$client} "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
        . length($body) . "\r\nConnection: close\r\n\r\n$body";
    close $client;
}
