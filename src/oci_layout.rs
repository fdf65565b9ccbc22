//! shim
#[derive(Debug)] pub struct LayoutError; impl std::fmt::Display for LayoutError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("x") } } impl std::error::Error for LayoutError {}
#[derive(Debug)] pub struct Layout; #[derive(Debug)] pub struct R { pub digest: String }
impl Layout { pub fn open(_p: &std::path::Path) -> Result<Self, LayoutError> { Err(LayoutError) } pub fn resolve(&self, _: Option<&str>, _: Option<&str>) -> Result<R, LayoutError> { Err(LayoutError) } }
