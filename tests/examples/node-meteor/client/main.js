import './main.html'
