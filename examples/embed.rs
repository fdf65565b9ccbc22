//! A program of its own that builds an image and prints what happens:
//! `cargo run --example embed SPEC CONTEXT IMAGE.tar ADDRESS`.
#![expect(clippy::print_stdout, reason = "it shows what happens")]

use std::{env, error::Error, fs, sync::Arc};

use peelbox::{
    build::{self, BuildEvent, BuildRequest, EventSink, Project, ProjectOptions, Stop},
    connect::{Places, connect},
    output::{Dest, Output},
    spec,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [spec_file, context, image, address] = args.as_slice() else {
        return Err("usage: embed SPEC CONTEXT IMAGE.tar ADDRESS".into());
    };
    let specs = spec::parse(&fs::read(spec_file)?, spec_file)?;
    let service = specs.select(None)?;
    let project = Project::open(ProjectOptions::new(service.spec.clone(), context))?;

    let (places, stop) = (Places::at(address), Stop::default());
    let builder = connect(&places, false, stop.switch(), &|_| {})?;
    println!("building with {}", builder.describe());

    let output = Output::Oci { dest: Dest::File(image.into()), attrs: Default::default() };
    let request = BuildRequest::new(project, output);
    let sink: EventSink = Arc::new(|event| match event {
        BuildEvent::Planned(planned) => println!("{} steps to do", planned.steps.len()),
        BuildEvent::Status(update) => {
            let done = update.vertexes.iter().filter(|vertex| vertex.completed.is_some());
            done.for_each(|vertex| println!("done: {}", vertex.name));
        }
        BuildEvent::Warning(text) => println!("warning: {text}"),
        _ => {}
    });
    let outcome = build::run(&builder, request, &stop, &sink)?;
    println!("{image}: {} packages in its SBOM", outcome.attestations.packages);
    Ok(())
}
