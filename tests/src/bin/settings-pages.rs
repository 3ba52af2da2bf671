//! `settings-pages ROOT`: writes the pages that hold settings anew, from what the built programs say of themselves.

use std::path::Path;

fn main() {
    let root = std::env::args().nth(1).expect("the workspace's folder");
    for (path, text) in testkit::settings::pages(Path::new(&root)) {
        std::fs::write(Path::new(&root).join(path), text).expect("written");
    }
}
