module.exports = () => 'low'
