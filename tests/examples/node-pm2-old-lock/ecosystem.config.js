module.exports = {
  apps: [{ name: 'kiosk', script: './src/kiosk.js', instances: 2 }],
}
