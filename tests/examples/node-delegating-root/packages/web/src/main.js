document.body.append('garden')
