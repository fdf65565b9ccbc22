# Debian's PHP, at the paths and with the extensions of the official image. Composer is there, as its installer can't
# be reached; so is a package of Debian in place of packagist.org.
FROM docker.io/library/debian:bookworm-slim AS php
RUN apt-get update \
 && apt-get install -y --no-install-recommends apache2 libapache2-mod-php8.2 php8.2-cli php8.2-curl php8.2-mbstring php8.2-sqlite3 php8.2-xml php8.2-zip composer curl unzip zip php-nikic-fast-route \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc /var/log/*.log \
 && mkdir -p /usr/local/lib/php/extensions /usr/local/etc/php/conf.d \
 && ln -s /usr/bin/php /usr/local/bin/php \
 && rm -rf /var/www/html && for d in /var/www/html /var/run/apache2 /var/lock/apache2 /var/log/apache2; do \
      install -d -o www-data -g www-data -m 1777 $d; done \
 && ln -sf /dev/stderr /var/log/apache2/error.log && for n in access other_vhosts_access; do ln -sf /dev/stdout /var/log/apache2/$n.log; done \
 && a2dissite 000-default \
 && printf '#!/bin/sh\nset -e\n. /etc/apache2/envvars\nexec apache2 -DFOREGROUND "$@"\n' >/usr/local/bin/apache2-foreground \
 && chmod 755 /usr/local/bin/apache2-foreground
# Extensions are packages of Debian, not compiled: their libraries go where the official image has them.
COPY --chmod=755 <<'SH' /usr/local/bin/docker-php-ext-install
#!/bin/sh
set -e
apt-get -qq update
for name in "$@"; do
  case $name in
    -*) continue ;;
    mysqli | pdo_mysql) package=mysql ;;
    pgsql | pdo_pgsql) package=pgsql ;;
    bcmath | bz2 | gd | gmp | imap | intl | ldap | soap | xsl | redis | imagick | apcu) package=$name ;;
    *) package= ;;
  esac
  [ "$name" != xsl ] || package=xml
  [ -z "$package" ] || apt-get -qq -y --no-install-recommends install "php8.2-$package" >/dev/null
  file="$(php-config --extension-dir 2>/dev/null || php -r 'echo PHP_EXTENSION_DIR;')/$name.so"
  [ -f "$file" ] || { echo "$name: compiled in"; continue; }
  cp "$file" /usr/local/lib/php/extensions/
  kind=extension
  [ "$name" != opcache ] || kind=zend_extension
  # Loaded already where it was installed: the line is for the image.
  echo "$kind=/usr/local/lib/php/extensions/$name.so" >"/usr/local/etc/php/conf.d/docker-php-ext-$name.ini"
done
SH
RUN cd /usr/local/bin && printf '#!/bin/sh\n' >docker-php-ext-configure && cp docker-php-ext-configure docker-php-ext-enable \
 && printf '#!/bin/sh\nshift; exec docker-php-ext-install "$@"\n' >pecl && chmod 755 docker-php-ext-* pecl
RUN mkdir -p /usr/share/composer-packages/x && cd /usr/share/composer-packages/x \
 && cp -r /usr/share/php/FastRoute src && rm -f src/autoload.php \
 && printf '%s' '{"name": "nikic/fast-route", "version": "1.3.0", "autoload": {"psr-4": {"FastRoute\\": "src/"}, "files": ["src/functions.php"]}}' >composer.json \
 && zip -qr ../nikic-fast-route-1.3.0.zip . && cd .. && rm -r x \
 && mkdir -p /etc/composer && printf '%s' '{"repositories": [{"type": "artifact", "url": "/usr/share/composer-packages"}, {"packagist.org": false}]}' >/etc/composer/config.json
ENV PHP_INI_SCAN_DIR=:/usr/local/etc/php/conf.d COMPOSER_HOME=/etc/composer
STOPSIGNAL SIGWINCH
WORKDIR /var/www/html
EXPOSE 80
CMD ["apache2-foreground"]
