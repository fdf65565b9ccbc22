module.exports = { title: 'Stitch', url: 'https://stitch.example', baseUrl: '/' }
