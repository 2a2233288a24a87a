//! The model of AWS has tests of its own: what it refuses, and in which words (tests/moto/README.md).

use std::path::Path;
use std::process::Command;

use crate::support::python::environment;

#[test]
fn the_model_passes_its_own_tests() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/moto");
    let python = environment("aws-server", &model.join("requirements.txt")).join("python");
    let ran = Command::new(python).args(["-m", "unittest"]).current_dir(&model).output().expect("Python starts");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    // Found none is success, too.
    assert!(!said.contains("Ran 0 tests"), "{said}");
}
