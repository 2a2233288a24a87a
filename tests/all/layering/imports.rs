//! Which module uses which, as the paths in the sources say: names that a module hands on count as used where they come
//! from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module's path, without `crate`; the crate itself is the empty one.
pub(super) type Module = Vec<String>;

/// The modules of the crate, and which of the others each of them uses.
pub(super) struct Imports {
    modules: BTreeMap<Module, Source>,
    pub(super) uses: Vec<(Module, Module)>,
}

#[derive(Default)]
struct Source {
    code: String,
    /// Every path of this crate that is named, wherever: `crate::…`, `super::…`, and `use child::…`.
    named: Vec<Module>,
    /// Names that a `use` brings in, each with where from.
    brought_in: BTreeMap<String, Module>,
    /// Modules of which a `use` brings in everything.
    globs: Vec<Module>,
}

impl Imports {
    /// Of these sources, by their paths below `src`.
    pub(super) fn of(sources: impl Iterator<Item = (PathBuf, String)>) -> Self {
        let texts: BTreeMap<Module, String> =
            sources.map(|(path, text)| (module_of(&path), without_comments_and_tests(&text))).collect();
        let known: BTreeSet<Module> = texts.keys().cloned().collect();
        let modules = texts.into_iter().map(|(module, code)| (module.clone(), Source::of(&module, code, &known)));
        let imports = Self { modules: modules.collect(), uses: Vec::new() };
        let uses_of = |(module, source): (&Module, &Source)| {
            let used: BTreeSet<Module> = source.named.iter().map(|path| imports.resolved(path, 0)).collect();
            let others = used.into_iter().filter(|used| used != module);
            others.map(|used| (module.clone(), used)).collect::<Vec<_>>()
        };
        let uses = imports.modules.iter().flat_map(uses_of).collect();
        Self { uses, ..imports }
    }

    /// Modules that have others below them.
    pub(super) fn folders(&self) -> BTreeSet<Module> {
        self.modules.keys().filter_map(|module| Some(module.split_last()?.1.to_vec())).collect()
    }

    /// By file or folder directly below this one, which of the others it uses. What stands in the folder's own top file
    /// is left out: it names all of them, and it may hold what they share.
    pub(super) fn inside(&self, folder: &[String]) -> BTreeMap<String, BTreeSet<String>> {
        let child = |module: &Module| Some(module.strip_prefix(folder)?.first()?.clone());
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (user, used) in &self.uses {
            if let (Some(user), Some(used)) = (child(user), child(used))
                && user != used
            {
                graph.entry(user).or_default().insert(used);
            }
        }
        graph
    }

    /// The module that holds what a path names.
    fn resolved(&self, path: &[String], depth: usize) -> Module {
        assert!(depth < 20, "{path:?} leads nowhere");
        for place in 0..path.len() {
            if self.modules.contains_key(&path[..=place]) {
                continue;
            }
            let (holder, name) = (&path[..place], &path[place]);
            let Some(source) = self.modules.get(holder) else { return holder.to_vec() };
            let named = source.brought_in.get(name).cloned();
            let from_glob = || {
                let mut globs = source.globs.iter().map(|glob| self.resolved(glob, depth + 1));
                globs.find(|glob| self.defines(glob, name)).map(|glob| [glob, vec![name.clone()]].concat())
            };
            return match named.or_else(from_glob) {
                Some(from) => self.resolved(&[&from, &path[place + 1..]].concat(), depth + 1),
                None => holder.to_vec(),
            };
        }
        path.to_vec()
    }

    fn defines(&self, module: &Module, name: &str) -> bool {
        let Some(source) = self.modules.get(module) else { return false };
        let words: Vec<&str> = source.code.split(|c: char| !is_word(c)).filter(|word| !word.is_empty()).collect();
        let kinds = ["struct", "enum", "fn", "const", "static", "type", "trait"];
        words.windows(2).any(|pair| kinds.contains(&pair[0]) && pair[1] == name)
    }
}

impl Source {
    fn of(module: &Module, code: String, known: &BTreeSet<Module>) -> Self {
        let mut source = Self::default();
        let mut before = ' ';
        let mut rest = code.as_str();
        let mut in_use = false;
        while let Some(c) = rest.chars().next() {
            let is_start = is_word(c) && !is_word(before) && before != ':';
            let word: &str = &rest[..rest.find(|c: char| !is_word(c)).unwrap_or(rest.len())];
            if is_start && word == "use" {
                in_use = true;
            } else if is_start {
                let is_child = in_use && known.contains(&[module.as_slice(), &[word.to_owned()]].concat());
                if is_child || ["crate", "super", "self"].contains(&word) {
                    let mut found = Vec::new();
                    tree(rest, Vec::new(), &mut found);
                    source.add(module, found, in_use);
                }
                in_use = false;
            }
            let step = if is_start { word.len() } else { c.len_utf8() };
            before = rest[..step].chars().next_back().unwrap_or(' ');
            rest = &rest[step..];
        }
        Self { code, ..source }
    }

    fn add(&mut self, module: &Module, found: Vec<(Module, String)>, in_use: bool) {
        for (path, name) in found {
            if path.len() < 2 {
                continue;
            }
            let path = absolute(module, &path);
            if path.last().is_some_and(|last| last == "*") {
                let path = path[..path.len() - 1].to_vec();
                self.globs.push(path.clone());
                self.named.push(path);
                continue;
            }
            if in_use {
                self.brought_in.insert(name, path.clone());
            }
            self.named.push(path);
        }
    }
}

/// Reads `a::b::{C, d::E as F}`: each path, and the name that it has from there on.
fn tree<'t>(mut text: &'t str, mut path: Module, found: &mut Vec<(Module, String)>) -> &'t str {
    loop {
        text = text.trim_start();
        if let Some(inner) = text.strip_prefix('{') {
            text = inner;
            loop {
                text = text.trim_start();
                if let Some(rest) = text.strip_prefix('}') {
                    return rest;
                }
                let rest = tree(text, path.clone(), found);
                let rest = rest.trim_start();
                text = rest.strip_prefix(',').unwrap_or(rest);
                assert!(!text.is_empty(), "braces that do not close: {path:?}");
            }
        }
        let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
        let end = if text.starts_with('*') { 1 } else { end };
        // `a::{self}` is `a`.
        let is_itself = text[..end] == *"self" && !path.is_empty();
        if end > 0 && !is_itself {
            path.push(text[..end].to_owned());
        }
        text = &text[end..];
        match text.strip_prefix("::") {
            Some(rest) if !rest.starts_with('<') => text = rest,
            Some(_) | None => break,
        }
    }
    let mut name = path.last().cloned().unwrap_or_default();
    if let Some(rest) = text.trim_start().strip_prefix("as ") {
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        name = rest[..end].to_owned();
        text = &rest[end..];
    }
    found.push((path, name));
    text
}

/// Without `crate`, `super` and `self`.
fn absolute(module: &Module, path: &[String]) -> Module {
    let mut at = if path[0] == "crate" { Vec::new() } else { module.clone() };
    for segment in path {
        match segment.as_str() {
            "crate" | "self" => {}
            "super" => _ = at.pop(),
            other => at.push(other.to_owned()),
        }
    }
    at
}

/// `plan/mod.rs` is `plan`, and so is `plan.rs`.
fn module_of(path: &Path) -> Module {
    let whole = path.with_extension("");
    let parts = whole.iter().map(|part| part.to_string_lossy().into_owned());
    parts.filter(|part| !["mod", "lib"].contains(&part.as_str())).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The code, without what is compiled for tests only.
fn without_comments_and_tests(text: &str) -> String {
    let mut code = String::new();
    let mut skipped: Option<usize> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        match skipped {
            Some(of) => {
                let is_end = line.ends_with([';', ',']) || line.trim_start() == "}";
                if indent == of && is_end {
                    skipped = None;
                }
            }
            None if line.trim() == "#[cfg(test)]" => skipped = Some(indent),
            None => {
                code.push_str(line.split("//").next().unwrap_or(""));
                code.push('\n');
            }
        }
    }
    code
}
