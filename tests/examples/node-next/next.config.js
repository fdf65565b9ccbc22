// output: 'export'
module.exports = {};
