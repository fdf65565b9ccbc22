//! The layers of an image, put on each other as far as an SBOM needs it: which files there are in the end, and what is in
//! those that are of interest. Nothing is unpacked; programs and archives go into one temporary file without a name.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    BUFFER_BYTES, ImageFile, ImageFileError, Layer, Manifest, Piece, TarError, decompress,
    inspect::unpacked_sha256,
    layer::{Whiteout, absolute, linked},
    tar::{Entries, Entry, Kind},
};
use crate::sbom::{self, Files, Interest, Origin, Problem};

impl ImageFile {
    /// Gathers the files that an SBOM of the image is made of; `folder` takes the temporary file.
    ///
    /// # Errors
    /// [`ImageFileError`] if a layer is missing, damaged, or not what its digest says. A single file that is too long
    /// is a problem of the result.
    pub fn gather(&self, manifest: &Manifest, folder: &Path) -> Result<Files, ImageFileError> {
        let new = || Gathered {
            spool: Spool { folder: folder.to_owned(), file: None, size_bytes: 0 },
            ..Gathered::default()
        };
        let mut gathered = new();
        let mut pieces = Vec::new();
        for layer in &manifest.layers {
            let piece = self.sound_layer(layer)?;
            self.put_on(&mut gathered, layer, &piece)?;
            pieces.push((layer, piece));
        }
        let places = gathered.places_elsewhere();
        if !places.is_empty() {
            // Only now it is known which files of other names are databases.
            let mut behind = Gathered { places, ..new() };
            for (layer, piece) in &pieces {
                self.put_on(&mut behind, layer, piece)?;
            }
            gathered.take_linked(behind);
        }
        Ok(gathered.into_files())
    }

    /// A layer that is what it is called.
    fn sound_layer(&self, layer: &Layer) -> Result<Piece, ImageFileError> {
        let name = layer.file.as_deref().unwrap_or(&layer.digest);
        let damaged = |what: &str| self.damaged(name, what);
        let piece = self.layer(layer)?.ok_or_else(|| damaged("is missing"))?;
        let is_right = match (&layer.file, &layer.diff_id) {
            (None, _) => {
                let found = piece.sha256().map_err(|e| self.open_error(e))?;
                layer.digest.strip_prefix("sha256:") == Some(&found)
            }
            (Some(_), Some(diff_id)) => {
                let (found, _) = unpacked_sha256(&piece, UNPACKED_BYTES_MAX)
                    .map_err(|e| damaged(&format!("cannot be unpacked: {e}")))?;
                found == *diff_id
            }
            (Some(_), None) => false,
        };
        if is_right { Ok(piece) } else { Err(damaged("has another digest")) }
    }

    fn put_on(
        &self,
        gathered: &mut Gathered,
        layer: &Layer,
        piece: &Piece,
    ) -> Result<(), ImageFileError> {
        let name = layer.file.as_deref().unwrap_or(&layer.digest);
        let left = UNPACKED_BYTES_MAX.saturating_sub(gathered.unpacked_bytes);
        let unpacked =
            decompress::Layer::open(piece, left).map_err(|e| self.damaged(name, &e.to_string()))?;
        let plain = unpacked.is_plain().then_some(piece);
        gathered.put_on(unpacked, plain).map_err(|problem| match problem {
            LayerProblem::Tar(error) => {
                let source = std::error::Error::source(&error).map(|e| format!(": {e}"));
                self.damaged(name, &format!("{error}{}", source.unwrap_or_default()))
            }
            LayerProblem::Spool(source) => {
                ImageFileError::Spool { folder: gathered.spool.folder.clone(), source }
            }
        })
    }

    fn damaged(&self, layer: &str, what: &str) -> ImageFileError {
        let problem = format!("the layer `{}`: {what}", layer.escape_debug());
        ImageFileError::Damaged { path: self.path.clone(), problem }
    }
}

/// What the layers so far make.
#[derive(Default)]
struct Gathered {
    files: BTreeMap<String, Kept>,
    /// Targets of symbolic links, absolute.
    links: BTreeMap<String, String>,
    /// First names of hard links of interest, and the links.
    first_names: BTreeMap<String, String>,
    /// Where files or folders lie that are looked for at other paths; with any of them nothing else is of interest.
    places: BTreeMap<String, String>,
    /// Of names and contents in memory.
    held_bytes: u64,
    unpacked_bytes: u64,
    entries: u64,
    /// Not all could be kept.
    is_full: bool,
    spool: Spool,
}

/// What is kept of a file.
#[derive(Clone)]
enum Kept {
    Text(Vec<u8>),
    Binary(Piece),
    /// It was wanted and is not here.
    Missing(String),
}

enum LayerProblem {
    Tar(TarError),
    Spool(io::Error),
}

impl From<TarError> for LayerProblem {
    fn from(error: TarError) -> Self {
        Self::Tar(error)
    }
}

impl Gathered {
    /// Puts the next layer on those so far. `plain` is the layer where it is not compressed.
    fn put_on<S: super::tar::Source>(
        &mut self,
        layer: S,
        plain: Option<&Piece>,
    ) -> Result<(), LayerProblem> {
        let mut entries = Entries::new(layer, ENTRIES_MAX.saturating_sub(self.entries));
        // A whiteout speaks of the layers below alone, wherever in the layer it stands.
        let mut upper: BTreeMap<String, Kept> = BTreeMap::new();
        let mut upper_links = BTreeMap::new();
        while let Some(entry) = entries.next()? {
            self.entries += 1;
            self.unpacked_bytes = self.unpacked_bytes.saturating_add(entry.size_bytes);
            let path = absolute(&entry.path);
            if let Some(whiteout) = Whiteout::of(&path) {
                match whiteout {
                    Whiteout::Below(folder) => self.remove_below(&folder),
                    Whiteout::Of(hidden) => self.remove(&hidden),
                    Whiteout::Nothing => {}
                }
                continue;
            }
            if entry.kind == Kind::Folder {
                self.remove_file(&path);
                continue;
            }
            self.remove(&path);
            if entry.kind == Kind::SymbolicLink {
                let target = linked(&path, &entry.target);
                let bytes = (path.len() + target.len()) as u64;
                if self.held_bytes + bytes <= HELD_BYTES_MAX {
                    self.held_bytes += bytes;
                    upper_links.insert(path, target);
                }
                continue;
            }
            let kept = self.keep(&mut entries, &entry, &path, &upper, plain)?;
            if let Some(replaced) = upper.remove(&path) {
                self.held_bytes = self.held_bytes.saturating_sub(held(&path, &replaced));
            }
            if let Some(kept) = kept {
                self.held_bytes += held(&path, &kept);
                upper.insert(path, kept);
            }
        }
        self.files.extend(upper);
        self.links.extend(upper_links);
        Ok(())
    }

    /// The path at which a file is looked for: its own, or that of the link which leads to it.
    fn sought(&self, path: &str) -> Option<String> {
        if self.places.is_empty() {
            return Some(path.to_owned());
        }
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.into_iter()
            .find_map(|end| Some(format!("{}{}", self.places.get(&path[..end])?, &path[end..])))
    }

    /// Where the files lie that are of interest under the name of a link.
    fn places_elsewhere(&self) -> BTreeMap<String, String> {
        let mut places = sbom::linked(&self.links);
        places.extend(self.first_names.clone());
        places.retain(|_, path| !matches!(self.files.get(path), Some(Kept::Text(_))));
        places
    }

    /// Adds what was found behind links, under their names.
    fn take_linked(&mut self, behind: Self) {
        for (path, kept) in &behind.files {
            if let Some(sought) = behind.sought(path) {
                self.files.insert(sought, kept.clone());
            }
        }
    }

    /// What is to be kept of an entry, if anything.
    fn keep<S: super::tar::Source>(
        &mut self,
        entries: &mut Entries<S>,
        entry: &Entry,
        path: &str,
        upper: &BTreeMap<String, Kept>,
        plain: Option<&Piece>,
    ) -> Result<Option<Kept>, LayerProblem> {
        let sought = self.sought(path);
        let interest =
            sought.map_or(Interest::None, |sought| sbom::interest(&sought, Origin::Image));
        if interest == Interest::None || !matches!(entry.kind, Kind::File | Kind::HardLink) {
            return Ok(None);
        }
        if self.files.len() + upper.len() >= FILES_MAX {
            self.is_full = true;
            return Ok(None);
        }
        let room = HELD_BYTES_MAX.saturating_sub(self.held_bytes + path.len() as u64);
        if entry.kind == Kind::HardLink {
            let target = absolute(&entry.target);
            let kept = self.linked(&target, interest, upper, room);
            if let Some(Kept::Missing(_)) = kept {
                self.first_names.insert(target, path.to_owned());
            }
            return Ok(kept);
        }
        match interest {
            Interest::Text { bytes_max } if entry.size_bytes > bytes_max => {
                Ok(Some(Kept::Missing(format!("it has more than {bytes_max} bytes"))))
            }
            Interest::Text { .. } if entry.size_bytes > room => {
                Ok(Some(Kept::Missing("the image has too many such files".to_owned())))
            }
            Interest::Text { bytes_max } => Ok(Some(Kept::Text(entries.content(bytes_max)?))),
            _ => {
                let head = entries.head()?;
                if !sbom::is_binary(path, &head) {
                    return Ok(None);
                }
                match plain {
                    Some(layer) => Ok(Some(Kept::Binary(Piece {
                        file: Arc::clone(&layer.file),
                        offset: layer.offset + entry.offset,
                        size_bytes: entry.size_bytes,
                    }))),
                    None => self.spool.take(&head, entries, entry.size_bytes).map(Some),
                }
            }
        }
    }

    /// A further name of a file that was kept under its first one.
    fn linked(
        &self,
        target: &str,
        interest: Interest,
        upper: &BTreeMap<String, Kept>,
        room: u64,
    ) -> Option<Kept> {
        let known = upper.get(target).or_else(|| self.files.get(target));
        match (known, interest) {
            (Some(Kept::Text(text)), Interest::Text { bytes_max }) => {
                let has_room = text.len() as u64 <= bytes_max.min(room);
                Some(if has_room {
                    Kept::Text(text.clone())
                } else {
                    Kept::Missing("it is too long".to_owned())
                })
            }
            (Some(binary @ Kept::Binary(_)), Interest::Binary) => Some(binary.clone()),
            // Of a program nothing may be of interest, of a text there is.
            (_, Interest::Text { .. }) => {
                Some(Kept::Missing(format!("it is another name of `{}`", target.escape_debug())))
            }
            _ => None,
        }
    }

    /// A file, or a folder with all that is in it.
    fn remove(&mut self, path: &str) {
        self.remove_file(path);
        self.remove_below(path);
    }

    fn remove_file(&mut self, path: &str) {
        self.links.remove(path);
        if let Some(kept) = self.files.remove(path) {
            self.held_bytes = self.held_bytes.saturating_sub(held(path, &kept));
        }
    }

    fn remove_below(&mut self, folder: &str) {
        // `0` follows upon `/`.
        let range = format!("{folder}/")..format!("{folder}0");
        let below: Vec<String> = self.files.range(range).map(|(path, _)| path.clone()).collect();
        for path in below {
            self.remove_file(&path);
        }
        let range = format!("{folder}/")..format!("{folder}0");
        let links: Vec<String> = self.links.range(range).map(|(path, _)| path.clone()).collect();
        for path in links {
            self.links.remove(&path);
        }
    }

    fn into_files(self) -> Files {
        let mut files = Files::default();
        for (path, kept) in self.files {
            match kept {
                Kept::Text(text) => drop(files.texts.insert(path, text)),
                Kept::Binary(piece) => {
                    files.binaries.insert(path, Box::new(piece));
                }
                Kept::Missing(why) => files.problems.push(Problem { path, why }),
            }
        }
        if self.is_full {
            let why = format!("more than {FILES_MAX} files are of interest, others are left out");
            files.problems.push(Problem { path: "/".to_owned(), why });
        }
        files
    }
}

fn held(path: &str, kept: &Kept) -> u64 {
    let content = match kept {
        Kept::Text(text) => text.len(),
        Kept::Missing(why) => why.len(),
        Kept::Binary(_) => size_of::<Piece>(),
    };
    (path.len() + content) as u64
}

/// A temporary file for what is too long for the memory.
#[derive(Default)]
struct Spool {
    folder: PathBuf,
    file: Option<Arc<File>>,
    size_bytes: u64,
}

impl Spool {
    fn take<S: super::tar::Source>(
        &mut self,
        head: &[u8],
        entries: &mut Entries<S>,
        size_bytes: u64,
    ) -> Result<Kept, LayerProblem> {
        if self.size_bytes.saturating_add(size_bytes) > SPOOL_BYTES_MAX {
            return Ok(Kept::Missing("the image has too many long files".to_owned()));
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                // It has no name, so nothing is left of it.
                let file = tempfile::tempfile_in(&self.folder).map_err(LayerProblem::Spool)?;
                Arc::clone(self.file.insert(Arc::new(file)))
            }
        };
        let offset = self.size_bytes;
        self.write(&file, head)?;
        let mut buf = vec![0; BUFFER_BYTES];
        loop {
            match entries.read(&mut buf)? {
                0 => break,
                count => self.write(&file, &buf[..count])?,
            }
        }
        Ok(Kept::Binary(Piece { file, offset, size_bytes }))
    }
}

impl Spool {
    fn write(&mut self, file: &File, data: &[u8]) -> Result<(), LayerProblem> {
        file.write_all_at(data, self.size_bytes).map_err(LayerProblem::Spool)?;
        self.size_bytes += data.len() as u64;
        Ok(())
    }
}

/// Entries of all layers; images with everything in them have some 500,000.
const ENTRIES_MAX: u64 = 5_000_000;
/// Files that are kept.
const FILES_MAX: usize = 100_000;
/// Names and texts in memory.
const HELD_BYTES_MAX: u64 = 64 << 20;
/// Programs and archives in the temporary file.
const SPOOL_BYTES_MAX: u64 = 8 << 30;
/// All layers unpacked.
const UNPACKED_BYTES_MAX: u64 = 64 << 30;
