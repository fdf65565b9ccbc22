# Debian's Perl, at the paths of the official image.
FROM docker.io/library/debian:bookworm-slim AS perl
RUN apt-get update \
 && apt-get install -y --no-install-recommends perl cpanminus make \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc /var/log/*.log \
 && for n in perl cpan cpanm prove; do ln -s /usr/bin/$n /usr/local/bin/$n; done
CMD ["perl5.36.0","-de0"]
