document.title = "Admin"
