#!/usr/bin/env node
require('node:child_process').execSync('tsc', { stdio: 'inherit' })
