# Debian's Ruby, at the paths of the official image.
FROM docker.io/library/debian:bookworm-slim AS ruby
RUN apt-get update \
 && apt-get install -y --no-install-recommends ruby ruby-bundler libyaml-0-2 \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc /var/log/*.log \
 && for n in ruby gem bundle bundler rake; do ln -s /usr/bin/$n /usr/local/bin/$n; done
ENV LANG=C.UTF-8 RUBY_VERSION=3.1.2 GEM_HOME=/usr/local/bundle BUNDLE_SILENCE_ROOT_WARNING=1 BUNDLE_APP_CONFIG=/usr/local/bundle
ENV PATH=/usr/local/bundle/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN mkdir -m 1777 $GEM_HOME
CMD ["irb"]

# No registry of gems can be reached here, but Debian has some as packages: made into gems
# again, with an index, they take the place of rubygems.org.
FROM ruby AS gems
RUN apt-get update && apt-get install -y --no-install-recommends ruby-sinatra puma
COPY <<'RUBY' /make.rb
require "fileutils"
require "rubygems/package"
FileUtils.mkdir_p("/gems/gems")
%w[sinatra rack rack-protection tilt mustermann ruby2_keywords puma nio4r].each do |name|
  spec = Gem::Specification.find_by_name(name).dup
  root = "/tmp/#{name}"
  FileUtils.mkdir_p("#{root}/lib")
  if Dir.exist?("#{spec.full_gem_path}/lib")
    FileUtils.cp_r("#{spec.full_gem_path}/.", root)
  else
    FileUtils.cp_r(Dir["/usr/lib/ruby/vendor_ruby/#{name}{,.rb}"], "#{root}/lib")
  end
  # Debian compiled it: nothing is left to do for an install.
  Dir["/usr/lib/*/rubygems-integration/*/extensions/*/*/#{spec.full_name}"].each do |compiled|
    FileUtils.cp_r("#{compiled}/.", "#{root}/lib")
  end
  spec.extensions = []
  Dir.chdir(root) do
    spec.files = Dir["**/*"].select { |path| File.file?(path) }
    spec.executables = spec.executables.select { |path| File.file?("#{spec.bindir}/#{path}") }
    spec.test_files = spec.extra_rdoc_files = []
    FileUtils.mv(Gem::Package.build(spec, true), "/gems/gems")
  end
end
RUBY
RUN ruby /make.rb && gem generate_index --directory /gems

FROM ruby AS ruby-full
COPY --from=gems /gems /usr/share/gems
ENV BUNDLE_MIRROR__ALL=file:///usr/share/gems
