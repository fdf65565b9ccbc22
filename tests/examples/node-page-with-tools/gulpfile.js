exports.build = async () => {}
