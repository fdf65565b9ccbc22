# Debian's OpenJDK and Maven.
FROM docker.io/library/debian:bookworm-slim AS temurin
RUN apt-get update \
 && mkdir -p /usr/share/man/man1 \
 && apt-get install -y --no-install-recommends openjdk-17-jre-headless \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc /var/log/*.log \
 && ln -s /usr/lib/jvm/java-17-openjdk-* /opt/java
ENV JAVA_HOME=/opt/java

FROM temurin AS maven
RUN apt-get update \
 && apt-get install -y --no-install-recommends openjdk-17-jdk-headless maven \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc /var/log/*.log && mvn --version
CMD ["mvn"]
