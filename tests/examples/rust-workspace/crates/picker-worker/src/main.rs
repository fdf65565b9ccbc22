fn main() {
    store::open();
}
