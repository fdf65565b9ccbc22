//! shim
use crate::{grpc::{Service,Call,Status}, session::RootCause, oci_layout::Layout};
#[derive(Default)] pub struct Content; impl Content { pub fn add(&mut self, _:&str,_:Layout){} pub fn serve(&self,_:RootCause)->S { S } }
pub struct S; impl Service for S { fn methods(&self) -> &'static [&'static str] { &["/containerd.services.content.v1.Content/Info"] } fn serve(&self,_:&mut Call)->Result<(),Status>{ Err(Status::protocol("x")) } }
