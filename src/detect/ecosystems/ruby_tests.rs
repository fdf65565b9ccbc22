//! Small projects in Ruby: what is started, and what has to be there for that.

use super::compiled_tests::{build_base, only};
use crate::detect::What;

const SINATRA: &str = "require 'sinatra'\nget('/') { 'x' }\n";

#[test]
fn the_only_program_that_requires_a_server_is_started_whatever_its_name() {
    let check = |files: &[(&str, &str)], line: &str| {
        let found = only(files);
        let command = found.spec.runtime.command.join(" ");
        assert_eq!(command.trim_start_matches("/bin/sh -c exec "), line);
    };
    check(&[("shop.rb", SINATRA)], "ruby shop.rb -o 0.0.0.0 -p $PORT");
    let gems = "source 'https://x'\ngem 'sinatra'\n";
    let tool = ("dump.rb", "puts 1\n");
    check(
        &[("Gemfile", gems), ("shop.rb", SINATRA), tool],
        "bundle exec ruby shop.rb -o 0.0.0.0 -p $PORT",
    );
    check(
        &[("gems.rb", gems), ("shop.rb", SINATRA)],
        "bundle exec ruby shop.rb -o 0.0.0.0 -p $PORT",
    );
    check(
        &[
            ("Gemfile", gems),
            ("Procfile", "web: rake db:migrate && puma -p $PORT\n"),
            ("shop.rb", SINATRA),
        ],
        "/bin/sh -c bundle exec rake db:migrate && bundle exec puma -p $PORT",
    );
}

#[test]
fn gems_bring_what_they_need_of_the_system() {
    let packages = |gems: &str, lock: &str| {
        let found = only(&[("Gemfile", gems), ("Gemfile.lock", lock), ("app.rb", SINATRA)]);
        found.spec.runtime.packages.join(" ")
    };
    let lock = "GEM\n  specs:\n    acme (1.0)\n      execjs\n      pg (>= 1)\n    execjs (2)\n    pg (1.5.4)\n    sinatra (3.0)\n";
    assert_eq!(packages("gem 'sinatra'\ngem 'acme'\n", lock), "libpq5 nodejs");
    assert_eq!(packages("gem 'sinatra'\ngem 'acme'\ngem 'mini_racer'\n", lock), "libpq5");
    assert_eq!(packages("gem 'sinatra'\n", lock), "");
}

#[test]
fn an_exact_ruby_has_its_image_and_another_implementation_is_told() {
    let check = |pin: &str, base: &str, told: &str| {
        let found =
            only(&[("Gemfile", "gem 'sinatra'\n"), (".ruby-version", pin), ("app.rb", SINATRA)]);
        assert_eq!(build_base(&found), base, "{pin}");
        let decision = found.decisions.iter().find(|one| one.what == What::Version).unwrap();
        assert_eq!(decision.rule.to_string(), told, "{pin}");
    };
    check("3.3.6\n", "ruby:3.3.6-bookworm", ".ruby-version");
    check("3.1.2\n", "ruby:3.1-bookworm", ".ruby-version");
    check("jruby-9.4.8.0\n", "ruby:3.4-bookworm", "default, `jruby-9.4.8.0` is no version of Ruby");
}
