export default { build: { outDir: "../portal-api/www" } }
