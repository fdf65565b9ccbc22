//! The flag as it is typed, and what comes of it.

use std::collections::BTreeMap;

use super::*;
use crate::mutation::mutate_corpus;

fn oci(dest: Dest, attrs: &[(&str, &str)]) -> Output {
    let attrs = attrs.iter().map(|(k, v)| (String::from(*k), String::from(*v))).collect();
    Output::Oci { dest, attrs }
}

fn local(dest: &str, attrs: &[(&str, &str)]) -> Output {
    let attrs = attrs.iter().map(|(k, v)| (String::from(*k), String::from(*v))).collect();
    Output::Local { dest: dest.into(), attrs }
}

fn tar(dest: Dest, attrs: &[(&str, &str)]) -> Output {
    let attrs = attrs.iter().map(|(k, v)| (String::from(*k), String::from(*v))).collect();
    Output::Tar { dest, attrs }
}

/// An attribute that the exporters of image files have not.
fn unknown(key: &str) -> FlagError {
    let known = OCI_ATTRS.iter().map(|(name, _)| *name).collect();
    FlagError::UnknownAttr { key: key.into(), known }
}

fn unknown_of_image(key: &str) -> FlagError {
    let known = OCI_ATTRS.iter().chain(&IMAGE_ATTRS).map(|(name, _)| *name).collect();
    FlagError::UnknownAttr { key: key.into(), known }
}

fn file(path: &str) -> Dest {
    Dest::File(path.into())
}

fn check(value: &str, expected: &Output) {
    assert_eq!(Output::parse(value).as_ref(), Ok(expected), "{value}");
}

fn refused(value: &str, expected: FlagError, says: &str) {
    let error = Output::parse(value).expect_err(value);
    assert_eq!(error, expected, "{value}");
    let text = error.to_string();
    assert!(text.contains(says), "`{text}` should say `{says}`");
}

#[test]
fn the_forms_of_the_issue_are_understood() {
    check("type=oci,dest=app.tar", &oci(file("app.tar"), &[]));
    check("dest=/a/b c.tar,type=oci", &oci(file("/a/b c.tar"), &[]));
    check("type=oci,dest=-", &oci(Dest::Stdout, &[]));
    check("type=none", &Output::None);
    check("type=docker", &Output::default());
    let attrs = BTreeMap::from([("compression".to_owned(), "zstd".to_owned())]);
    let docker = Output::Docker { dest: Some(file("a.tar")), attrs };
    check("type=docker,dest=a.tar,compression=zstd", &docker);
    assert!(Output::default().is_for_docker() && !docker.is_for_docker());
    check("TYPE=oci, Dest=a=b.tar", &oci(file("a=b.tar"), &[]));
}

#[test]
fn quotes_are_read_as_go_reads_them() {
    check(r#"type=oci,"dest=a,b.tar""#, &oci(file("a,b.tar"), &[]));
    check(r#""type=oci","dest=say ""hi"".tar""#, &oci(file("say \"hi\".tar"), &[]));
    check("type=oci,\"dest=a\nb\"", &oci(file("a\nb"), &[]));
    refused(r#"type=oci,dest="a.tar""#, FlagError::StrayQuote { column: 15 }, "column 15");
    refused(r#""type=oci"x,dest=a"#, FlagError::StrayQuote { column: 10 }, "column 10");
    refused(r#""type=oci"#, FlagError::OpenQuote, "never closed");
    refused("type=oci\n,dest=a", FlagError::LineBreak, "line break");
    refused("type=oci,,dest=a", FlagError::NotAPair(String::new()), "key=value");
    refused("", FlagError::NotAPair(String::new()), "key=value");
    refused("type=oci,dest=a,", FlagError::NotAPair(String::new()), "key=value");
}

#[test]
fn attributes_of_the_oci_exporter_pass_and_the_dest_does_not() {
    let line = "type=oci,dest=a,compression=zstd,compression-level=3,force-compression=true,\
                oci-mediatypes=1,rewrite-timestamp=T,source-date-epoch=,name=x:y,tar=true";
    let expected = [
        ("compression", "zstd"),
        ("compression-level", "3"),
        ("force-compression", "true"),
        ("name", "x:y"),
        ("oci-mediatypes", "1"),
        ("rewrite-timestamp", "T"),
        ("source-date-epoch", ""),
    ];
    check(line, &oci(file("a"), &expected));
    let attrs = Output::parse(line).unwrap().exporter_attrs();
    assert_eq!(attrs.len(), expected.len());
}

#[test]
fn annotations_keep_the_case_of_their_names_only() {
    for (given, sent) in [
        ("annotation.org.Example.A", "annotation.org.Example.A"),
        ("Annotation-Index.Foo", "annotation-index.Foo"),
        ("annotation-manifest[linux/AMD64].Foo.B", "annotation-manifest[linux/amd64].Foo.B"),
        ("annotation[linux/arm64].k", "annotation[linux/arm64].k"),
        ("annotation[Windows(10.0)/amd64].K", "annotation[windows(10.0)/amd64].K"),
        ("annotation.A].B", "annotation.A].B"),
        ("annotation-manifest-descriptor.k", "annotation-manifest-descriptor.k"),
    ] {
        check(&format!("type=oci,dest=a,{given}=V"), &oci(file("a"), &[(sent, "V")]));
    }
    for wrong in ["annotation", "annotation.", "annotation-x.k", "annotation[.k", "annotation[].k"]
    {
        refused(&format!("type=oci,dest=a,{wrong}=V"), unknown(wrong), wrong);
    }
}

#[test]
fn a_lone_word_is_a_folder_as_it_is_to_docker() {
    check("out", &local("out", &[("platform-split", "false")]));
    check(".", &local(".", &[("platform-split", "false")]));
    check("./app.tar/", &local("./app.tar/", &[("platform-split", "false")]));
    check(r#""a,b""#, &local("a,b", &[("platform-split", "false")]));
    check("-", &tar(Dest::Stdout, &[]));
    // Whoever types that wants no folder.
    refused("app.tar", FlagError::Shorthand("app.tar".into()), "type=oci,dest=app.tar");
    let quoted = FlagError::Shorthand("a,b.tgz".into());
    refused(r#""a,b.tgz""#, quoted, r#"'type=oci,"dest=a,b.tgz"'"#);
    refused("a\0b", FlagError::NulInDest, "NUL");
    refused("dest=x.tar", FlagError::NoType(Some("x.tar".into())), "type=oci,dest=x.tar");
    refused("name=x", FlagError::NoType(None), "type=oci,dest=FILE");
}

#[test]
fn files_go_to_a_folder_or_a_tar() {
    check("type=local,dest=out", &local("out", &[("platform-split", "false")]));
    let line = "type=local,dest=/a/b,source-date-epoch=7,platform-split=true";
    check(line, &local("/a/b", &[("platform-split", "true"), ("source-date-epoch", "7")]));
    check("type=tar,dest=a.tar", &tar(file("a.tar"), &[]));
    check("type=tar,dest=-,source-date-epoch=", &tar(Dest::Stdout, &[("source-date-epoch", "")]));
    for (line, exporter) in [("type=local,dest=x", "local"), ("type=tar,dest=x", "tar")] {
        let output = Output::parse(line).unwrap();
        assert_eq!(output.exporter(), Some(exporter));
        assert!(output.is_files() && !output.has_image() && !output.is_for_docker());
        assert_eq!(
            (output.folder().is_some(), output.dest().is_some()),
            match exporter {
                "local" => (true, false),
                _ => (false, true),
            }
        );
        assert_eq!(output.pushed(), Err(FlagError::PushNeedsImage));
    }
    assert!(!Output::None.is_files() && !Output::None.has_image());
    assert!(Output::default().has_image());

    refused("type=local", FlagError::NoDest("local"), "`dest=DIR`");
    refused("type=tar,dest=", FlagError::NoDest("tar"), "dest=-");
    refused("type=local,dest=-", FlagError::FolderIsNoStream, "type=tar,dest=-");
    for key in ["compression", "name", "push", "annotation.k", "tar", "rewrite-timestamp"] {
        for kind in ["local", "tar"] {
            let line = format!("type={kind},dest=x,{key}=v");
            refused(&line, FlagError::NoImageAttr(key.into()), "is about an image");
        }
    }
    let known = vec!["source-date-epoch", "platform-split"];
    let error = FlagError::UnknownAttr { key: "mode".into(), known };
    refused("type=local,dest=x,mode=copy", error, "`platform-split` and `dest`");
}

#[test]
fn unknown_types_are_answered_with_those_there_are() {
    refused("type=zip,dest=x", FlagError::UnknownType("zip".into()), "`type=none`");
    refused("type=,dest=x", FlagError::UnknownType(String::new()), "`type=none`");
    refused("type=oci,dest=x,tar=false", FlagError::LaterFolder, "later version");
    refused("type=oci,dest=x,push=true", FlagError::OtherType("push".into()), "type=image");
}

#[test]
fn an_image_is_pushed_where_that_is_said() {
    let image = |attrs: &[(&str, &str)]| Output::Image {
        attrs: attrs.iter().map(|(k, v)| (String::from(*k), String::from(*v))).collect(),
    };
    check("type=image", &image(&[]));
    check("type=image,push=false", &image(&[("push", "false")]));
    check("type=registry", &image(&[("push", "true")]));
    check(
        "type=registry,compression=zstd,registry.insecure=true",
        &image(&[("compression", "zstd"), ("push", "true"), ("registry.insecure", "true")]),
    );
    assert!(!image(&[]).is_pushed() && !image(&[("push", "false")]).is_pushed());
    assert!(image(&[("push", "true")]).is_pushed());
    assert!(image(&[("push-by-digest", "1")]).is_pushed());
    assert!(image(&[]).pushed().unwrap().is_pushed());
    assert_eq!(Output::None.pushed(), Err(FlagError::PushNeedsImage));
    let no_dest = FlagError::ImageTakesNoDest("registry".into());
    refused("type=registry,dest=x", no_dest, "`type=oci`");
    refused("type=image,pull=true", unknown_of_image("pull"), "`pull`");
}

#[test]
fn wrong_attributes_name_what_is_understood() {
    refused("type=oci", FlagError::NoDest("oci"), "dest=FILE");
    refused("type=oci,dest=", FlagError::NoDest("oci"), "dest=-");
    refused("type=oci,dest=a\0b", FlagError::NulInDest, "NUL");
    refused("type=none,dest=x", FlagError::NoneTakesNothing("dest".into()), "`dest`");
    refused("type=oci,dest=a,dest=b", FlagError::Twice("dest".into()), "twice");
    refused("type=oci,type=oci", FlagError::Twice("type".into()), "twice");
    refused("type=oci,output=a", unknown("output"), "mean `dest`");
    refused("type=oci,dest=a,file=a", unknown("file"), "`dest`");
    let unknown = unknown("containerimage.config");
    refused("type=oci,dest=a,containerimage.config={}", unknown, "`rewrite-timestamp`");
    let bad = |key: &str, value: &str, expected| FlagError::BadValue {
        key: key.into(),
        value: value.into(),
        expected,
    };
    refused(
        "type=oci,dest=a,compression=lz4",
        bad("compression", "lz4", "`gzip`, `zstd`, `estargz` or `uncompressed`"),
        "`compression=lz4`",
    );
    refused(
        "type=oci,dest=a,force-compression=yes",
        bad("force-compression", "yes", "`true` or `false`"),
        "expected `true`",
    );
    refused(
        "type=oci,dest=a,compression-level=high",
        bad("compression-level", "high", "a number"),
        "a number",
    );
    refused(
        "type=oci,dest=a,source-date-epoch=today",
        bad("source-date-epoch", "today", "seconds since 1970"),
        "1970",
    );
}

#[test]
fn no_bytes_make_the_parser_panic() {
    mutate_corpus("output_flag", b"\",=[]-.\n\0at", 400, fuzz_output_flag);
}
